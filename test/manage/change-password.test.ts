import t, { type Test } from 'tap'
import { type Answer, call, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'

const ENTRY = { nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

async function startRoom(t: Test, body: Record<string, unknown> = { name: 'Vault' }) {
  const { url } = await startHub(t)
  const managed = await manageRoom(url, body)
  let count = 0
  const tryJoin = (password?: string | null): Promise<Answer> => {
    count += 1
    return call('POST', `${managed.base}/join`, { ...ENTRY, id: `guest-${count}`, password })
  }
  return { ...managed, tryJoin }
}

t.test('a password that is set is asked for from then on', async (t) => {
  const { change, tryJoin } = await startRoom(t)
  t.equal((await change({ password: 'open sesame' })).body.room.protected, true)
  const refused = await tryJoin()
  t.strictSame([refused.status, refused.body], [401, { error: 'Invalid password' }])
  t.equal((await tryJoin('open sesame!')).status, 401)
  t.equal((await tryJoin('open sesame')).status, 201)
})

t.test('a password that is changed: the old one is worth nothing', async (t) => {
  const { change, tryJoin } = await startRoom(t, { name: 'Vault', password: 'old sesame' })
  await change({ password: 'new sesame' })
  t.equal((await tryJoin('old sesame')).status, 401)
  t.equal((await tryJoin('new sesame')).status, 201)
})

for (const nothing of [null, '']) {
  t.test(`${JSON.stringify(nothing)} takes the password away`, async (t) => {
    const { change, tryJoin } = await startRoom(t, { name: 'Vault', password: 'open sesame' })
    t.equal((await change({ password: nothing })).body.room.protected, false)
    t.equal((await tryJoin()).status, 201)
    t.equal((await tryJoin('ignored')).status, 201)
  })
}

t.test('a change of something else leaves the password', async (t) => {
  const { change, tryJoin } = await startRoom(t, { name: 'Vault', password: 'open sesame' })
  t.equal((await change({ name: 'Safe', listed: false, defaults: {} })).body.room.protected, true)
  t.equal((await tryJoin()).status, 401)
  t.equal((await tryJoin('open sesame')).status, 201)
})

t.test('who is in the room stays in it when the password changes', async (t) => {
  const { base, change, tryJoin } = await startRoom(t)
  const { token } = (await tryJoin()).body as { token: string }
  await change({ password: 'open sesame' })
  t.equal((await call('POST', `${base}/health`, { id: 'guest-1' }, bearer(token))).status, 200)
})

t.test('no answer to a change holds the password, or anything of it', async (t) => {
  const { change } = await startRoom(t)
  for (const password of ['open sesame', 'new sesame', null]) {
    const text = JSON.stringify((await change({ password })).body)
    t.notMatch(text, /sesame/)
    t.notMatch(text, NAMES_A_SECRET)
  }
})

t.test('nobody but the host changes the password', async (t) => {
  const { change, tryJoin } = await startRoom(t)
  const { token } = (await tryJoin()).body as { token: string }
  t.equal((await change({ password: 'mine' }, {})).status, 401)
  t.equal((await change({ password: 'mine' }, bearer('guessed'))).status, 401)
  t.equal((await change({ password: 'mine' }, bearer(token))).status, 403)
  t.equal((await tryJoin()).status, 201)
})
