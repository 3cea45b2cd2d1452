import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'

/** Documentation addresses (RFC 5737): they stand in a header, nothing is ever sent there. */
const HOME = '192.0.2.10'
const ELSEWHERE = '198.51.100.20'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://10.1.2.3:11434' }

async function leaveOf(base: string, forwardedFor?: string): Promise<number> {
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  return (await call('DELETE', `${base}/leave/alice`, undefined, headers as Record<string, string>)).status
}

t.test('without a proxy the address is that of the socket', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  t.equal(await leaveOf(`${url}/rooms/${room.code}`), 200)
})

t.test('X-Forwarded-For is believed from nobody but a trusted proxy', async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['192.0.2.1'] })
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  await call('POST', `${base}/join`, ALICE, { 'x-forwarded-for': HOME })
  // Both came over the same socket address, whatever they say.
  t.equal(await leaveOf(base, ELSEWHERE), 200)
})

t.test('POTLUCK_ADDRESS_TRUST=false: an address speaks for nobody', async (t) => {
  const { url } = await startHub(t, { addressTrust: false })
  const { room } = await openRoom(url)
  await join(url, room.code)
  const base = `${url}/rooms/${room.code}`
  t.equal((await call('POST', `${base}/health`, { id: 'alice' })).status, 401)
  t.equal((await call('POST', `${base}/join`, ALICE)).status, 409)
  t.equal(await leaveOf(base), 401)
})

t.test('POTLUCK_ADDRESS_TRUST=false: the token still does', async (t) => {
  const { url } = await startHub(t, { addressTrust: false })
  const { room } = await openRoom(url)
  const authorization = `Bearer ${(await join(url, room.code)).token}`
  const base = `${url}/rooms/${room.code}`
  t.equal((await call('POST', `${base}/health`, { id: 'alice' }, { authorization })).status, 200)
  t.equal((await call('DELETE', `${base}/leave/alice`, undefined, { authorization })).status, 200)
})

t.test("off when that address is a trusted proxy's: behind it, all would be one", async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: ALICE.endpoint })
  const base = `${url}/rooms/${room.code}`
  t.equal((await call('POST', `${base}/health`, { id: 'alice' })).status, 401)
  t.equal(await leaveOf(base), 401)
})

t.test("off when that address is a trusted proxy's: also by its network, and along a chain of them", async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.0/8', '192.0.2.0/24'] })
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  await call('POST', `${base}/join`, ALICE, { 'x-forwarded-for': '192.0.2.7' })
  t.equal(await leaveOf(base, '192.0.2.7'), 401)
})

t.test('behind a trusted proxy the address is the last one that is none', async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  await call('POST', `${base}/join`, ALICE, { 'x-forwarded-for': HOME })
  // What the client itself wrote stands in front; the proxy has added what it saw.
  t.equal(await leaveOf(base, `${HOME}, ${ELSEWHERE}`), 401)
  t.equal(await leaveOf(base, `${ELSEWHERE}, ${HOME}`), 200)
})

t.test('IPv4 and the same address mapped into IPv6 are one', async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  await call('POST', `${base}/join`, ALICE, { 'x-forwarded-for': `::ffff:${HOME}` })
  t.equal(await leaveOf(base, HOME), 200)
})

t.test('an X-Forwarded-For that holds no address speaks for nobody else', async (t) => {
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const base = `${url}/rooms/${(await openRoom(url)).room.code}`
  await call('POST', `${base}/join`, ALICE, { 'x-forwarded-for': HOME })
  for (const odd of ['unknown', '', ',', 'x'.repeat(2000), `${HOME}:1234`]) {
    t.notOk([200, 500].includes(await leaveOf(base, odd)), odd.slice(0, 20))
  }
})
