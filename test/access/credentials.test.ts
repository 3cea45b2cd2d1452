import t from 'tap'
import { knock, mintKey, PASSWORD, startVault, statusOf } from '../support/access.ts'
import { call, join } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'

const ENTRY = { id: 'carol', nickname: 'Carol', model: 'm', endpoint: 'http://127.0.0.1:1' }

t.test('each credential is taken as a bearer token and as x-api-key', async (t) => {
  const vault = await startVault(t)
  const { token } = await join(vault.url, vault.room.code, { password: PASSWORD })
  for (const credential of [PASSWORD, token, vault.hostToken, (await mintKey(vault)).key]) {
    for (const headers of [bearer(credential), { 'x-api-key': credential }, { authorization: `bearer ${credential}` }])
      t.equal((await call('GET', `${vault.base}/participants`, undefined, headers)).status, 200)
  }
})

t.test('what is no bearer token is none', async (t) => {
  const { base } = await startVault(t)
  const basic = `Basic ${Buffer.from(`me:${PASSWORD}`).toString('base64')}`
  for (const authorization of [basic, PASSWORD, `Token ${PASSWORD}`, `Bearer${PASSWORD}`])
    t.equal((await call('GET', `${base}/participants`, undefined, { authorization })).status, 401, authorization)
})

t.test('in the query, a cookie or the body of anything but a join it is none', async (t) => {
  const { base } = await startVault(t)
  const query = `password=${encodeURIComponent(PASSWORD)}&key=${encodeURIComponent(PASSWORD)}`
  t.equal(await statusOf({ method: 'GET', url: `${base}/participants?${query}` }), 401)
  t.equal(await statusOf({ method: 'GET', url: `${base}/participants`, headers: { cookie: `key=${PASSWORD}` } }), 401)
  t.equal((await call('POST', `${base}/events/ticket`, { password: PASSWORD })).status, 401)
})

t.test('an empty one is none, and no guess', async (t) => {
  const { base } = await startVault(t, { guessesPerMinute: 1 })
  for (const headers of [
    { authorization: '' },
    { authorization: 'Bearer ' },
    { 'x-api-key': '' },
    { 'x-api-key': ' ' },
  ])
    t.match(await call('GET', `${base}/participants`, undefined, headers as Record<string, string>), {
      status: 401,
      body: { error: /has a password/ },
    })
  t.equal(await knock(base, 'a guess'), 401)
})

t.test('an empty one beside a right one does not matter', async (t) => {
  const { base } = await startVault(t)
  for (const headers of [
    { authorization: 'Bearer ', 'x-api-key': PASSWORD },
    { authorization: `Bearer ${PASSWORD}`, 'x-api-key': '' },
  ])
    t.equal((await call('GET', `${base}/participants`, undefined, headers)).status, 200)
})

t.test('a huge one is wrong, and the hub goes on', async (t) => {
  const { base, url } = await startVault(t)
  t.equal(await knock(base, 'x'.repeat(15_000)), 401)
  t.equal(await knock(base, `${PASSWORD}${' '.repeat(5000)}x`), 401)
  // More than Node takes as headers at all.
  const overflow = await knockRaw(base, 'x'.repeat(16 * 1024))
  t.ok(overflow === 431 || overflow === 400, String(overflow))
  t.equal((await call('GET', `${url}/health`)).status, 200)
})

function knockRaw(base: string, credential: string): Promise<number> {
  return statusOf({ method: 'GET', url: `${base}/participants`, headers: bearer(credential) })
}

t.test('a binary one is wrong, and the hub goes on', async (t) => {
  const { base, url } = await startVault(t, { guessesPerMinute: 100 })
  const bytes = String.fromCharCode(...Array.from({ length: 128 }, (_, index) => 128 + index))
  for (const credential of [bytes, '\u00ff\u00fe', '\u00c3\u0028', '\u00f0\u009f\u0094'])
    t.equal(await knockRaw(base, credential), 401)
  t.equal((await call('GET', `${url}/health`)).status, 200)
})

t.test('a password beyond ASCII is taken from a header as UTF-8', async (t) => {
  const { url } = await startVault(t)
  for (const password of ['schlüssel', '合言葉', '🔑 und 🔒']) {
    const { base } = await manageRoom(url, { name: 'Vault', password })
    t.equal(await knockRaw(base, Buffer.from(password).toString('latin1')), 200, password)
  }
})

t.test('the same one twice is one', async (t) => {
  const { base } = await startVault(t)
  const headers = { authorization: `Bearer ${PASSWORD}`, 'x-api-key': PASSWORD }
  t.equal((await call('GET', `${base}/participants`, undefined, headers)).status, 200)
})

t.test('two that differ are one too many: 400, whichever is right, and no guess', async (t) => {
  const { base, hostToken } = await startVault(t, { guessesPerMinute: 1 })
  const pairs = [
    [PASSWORD, 'wrong'],
    ['wrong', PASSWORD],
    [PASSWORD, hostToken],
    ['wrong', 'wrong too'],
  ]
  for (const [token = '', key = ''] of pairs) {
    const headers = { ...bearer(token), 'x-api-key': key }
    const { status, body } = await call('GET', `${base}/participants`, undefined, headers)
    t.equal(status, 400)
    t.match(body.error, 'two different credentials')
  }
  t.equal(await knock(base, 'a guess'), 401)
})

t.test('in an open room two that differ mean nothing', async (t) => {
  const { url } = await startVault(t)
  const { base } = await manageRoom(url)
  const headers = { ...bearer('sk-one'), 'x-api-key': 'sk-two' }
  t.equal((await call('GET', `${base}/participants`, undefined, headers)).status, 200)
})

t.test('a header that is there twice never opens with its second', async (t) => {
  const { base } = await startVault(t)
  for (const headers of [
    { authorization: ['Bearer wrong', `Bearer ${PASSWORD}`] },
    { 'x-api-key': ['wrong', PASSWORD] },
    { 'x-api-key': [PASSWORD, 'wrong'] },
  ])
    t.equal(await statusOf({ method: 'GET', url: `${base}/participants`, headers }), 401)
})

t.test('a join has its password in the body or in a header', async (t) => {
  const { base } = await startVault(t)
  const joins = [
    { body: { password: PASSWORD }, headers: {} },
    { body: {}, headers: bearer(PASSWORD) },
    { body: {}, headers: { 'x-api-key': PASSWORD } },
    { body: { password: null }, headers: bearer(PASSWORD) },
    { body: { password: '' }, headers: bearer(PASSWORD) },
    { body: { password: PASSWORD }, headers: bearer(PASSWORD) },
  ]
  for (const [index, { body, headers }] of joins.entries()) {
    const entry = { ...ENTRY, id: `carol-${index}`, ...body }
    t.equal((await call('POST', `${base}/join`, entry, headers as Record<string, string>)).status, 201)
  }
})

t.test('where a join has both, the body decides', async (t) => {
  const { base, hostToken } = await startVault(t)
  const joinWith = async (password: string, shown: string) =>
    (await call('POST', `${base}/join`, { ...ENTRY, password }, bearer(shown))).status
  t.equal(await joinWith('wrong', PASSWORD), 401)
  t.equal(await joinWith('wrong', hostToken), 401)
  t.equal(await joinWith('wrong', 'wrong'), 401)
  t.equal(await joinWith(PASSWORD, 'a key of somebody else'), 201)
})
