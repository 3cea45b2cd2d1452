import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

async function countOf(url: string): Promise<number | undefined> {
  const { body } = await call<{ rooms: { participantCount: number }[] }>('GET', `${url}/rooms`)
  return body.rooms[0]?.participantCount
}

t.test('join a room with its password: 201', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Vault', password: 'open sesame' })
  const { status } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, password: 'open sesame' })
  t.equal(status, 201)
  t.equal(await countOf(url), 1)
})

t.test('join: 401 `Invalid password`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Vault', password: 'open sesame' })
  for (const password of ['Open sesame', 'open sesame ', 'open', '', null, undefined]) {
    const { status, body } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, password })
    t.equal(status, 401, JSON.stringify(password))
    t.strictSame(body, { error: 'Invalid password' })
  }
  t.equal(await countOf(url), 0)
})

t.test('`null` or empty `password` = none', async (t) => {
  const { url } = await startHub(t)
  for (const password of [null, '']) {
    const { room } = await openRoom(url, { name: 'Open', password })
    t.equal((await call('POST', `${url}/rooms/${room.code}/join`, ALICE)).status, 201, JSON.stringify(password))
  }
})

t.test('a password sent to an open room is ignored', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.ok(await join(url, room.code, { password: 'whatever' }))
})

t.test('a password is its characters and not its bytes alone: any script, any length up to the limit', async (t) => {
  const { url } = await startHub(t)
  for (const password of ['Übergrößenträger', '合言葉', '🔑', 'x'.repeat(256), ' ']) {
    const { room } = await openRoom(url, { name: 'Vault', password })
    t.equal((await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, password })).status, 201, password)
    t.equal(
      (await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, password: `${password}x` })).status === 201,
      false,
    )
  }
})

t.test('two rooms with one password: each has its own', async (t) => {
  const { url } = await startHub(t)
  const [first, second] = [
    await openRoom(url, { name: 'One', password: 'one' }),
    await openRoom(url, { name: 'Two', password: 'two' }),
  ]
  t.equal((await call('POST', `${url}/rooms/${first.room.code}/join`, { ...ALICE, password: 'two' })).status, 401)
  t.equal((await call('POST', `${url}/rooms/${second.room.code}/join`, { ...ALICE, password: 'two' })).status, 201)
})

t.test('a password that is no text is refused: 400', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url, { name: 'Vault', password: 'open sesame' })
  for (const password of [12, true, {}, ['open sesame'], 'x'.repeat(257)]) {
    t.equal((await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, password })).status, 400)
    t.equal((await call('POST', `${url}/rooms`, { name: 'Vault', password })).status, 400)
  }
})
