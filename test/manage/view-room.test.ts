import t from 'tap'
import { call, join, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'

t.test('GET /rooms/:code: the room with its count, protected, listed and aliases, and nothing else', async (t) => {
  const { url } = await startHub(t)
  const { room, view } = await manageRoom(url)
  const { status, body } = await view()
  t.equal(status, 200)
  t.strictSame(body, { room: { ...room, participantCount: 0, protected: false, listed: true, aliases: {} } })
})

t.test('participantCount follows joining, joining again and leaving', async (t) => {
  const { url } = await startHub(t)
  const { room, base, view } = await manageRoom(url)
  const count = async () => (await view()).body.room.participantCount
  await join(url, room.code, { id: 'alice' })
  await join(url, room.code, { id: 'bob' })
  await join(url, room.code, { id: 'bob' })
  t.equal(await count(), 2)
  await call('DELETE', `${base}/leave/alice`)
  t.equal(await count(), 1)
})

t.test('`protected` says that there is a password, without asking for it', async (t) => {
  const { url } = await startHub(t)
  const { view } = await manageRoom(url, { name: 'Vault', password: 'open sesame' })
  const { status, body } = await view()
  t.equal(status, 200)
  t.equal(body.room.protected, true)
  t.notMatch(JSON.stringify(body), /sesame/)
  t.notMatch(JSON.stringify(body), NAMES_A_SECRET)
})

t.test('an empty or null password protects nothing', async (t) => {
  const { url } = await startHub(t)
  for (const password of ['', null]) {
    const { view } = await manageRoom(url, { name: 'Kitchen', password })
    t.equal((await view()).body.room.protected, false, JSON.stringify(password))
  }
})

t.test('the code is matched in any case', async (t) => {
  const { url } = await startHub(t)
  const { room } = await manageRoom(url)
  const { status, body } = await call<{ room: { id: string } }>('GET', `${url}/rooms/${room.code.toLowerCase()}`)
  t.equal(status, 200)
  t.equal(body.room.id, room.id)
})

t.test('404 `Room not found` where there is none', async (t) => {
  const { url } = await startHub(t)
  for (const code of ['ABC234', 'x', 'K%C3%9F', '%00', '__proto__']) {
    const { status, body } = await call('GET', `${url}/rooms/${code}`)
    t.equal(status, 404, code)
    t.strictSame(body, { error: 'Room not found' })
  }
})
