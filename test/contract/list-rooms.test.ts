import t from 'tap'
import type { ListedRoom } from '../../schemas/room.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { NAMES_A_SECRET } from '../support/secret-log.ts'

async function listed(url: string): Promise<ListedRoom[]> {
  const { body } = await call<{ rooms: ListedRoom[] }>('GET', `${url}/rooms`)
  return body.rooms
}

t.test('GET /rooms: 200 {rooms:[]} where there is none', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call('GET', `${url}/rooms`)
  t.equal(status, 200)
  t.strictSame(body, { rooms: [] })
})

t.test('GET /rooms: {rooms:[{id,code,name,hostId,createdAt,participantCount}]}', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.hasStrict(await listed(url), [{ ...room, participantCount: 0 }])
})

t.test('rooms are listed oldest first', async (t) => {
  const { url } = await startHub(t)
  const names = ['Kitchen', 'Attic', 'Garden', 'Basement']
  for (const name of names) await openRoom(url, { name })
  t.strictSame(
    (await listed(url)).map(({ name }) => name),
    names,
  )
})

t.test('names may repeat', async (t) => {
  const { url } = await startHub(t)
  const [first, second] = [await openRoom(url, { name: 'Twin' }), await openRoom(url, { name: 'Twin' })]
  t.not(first.room.code, second.room.code)
  t.equal((await listed(url)).length, 2)
})

t.test('participantCount follows joining, joining again and leaving', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { id: 'alice' })
  await join(url, room.code, { id: 'bob' })
  await join(url, room.code, { id: 'bob' })
  t.equal((await listed(url))[0]?.participantCount, 2)
  await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)
  t.equal((await listed(url))[0]?.participantCount, 1)
})

t.test("another room's participants do not count", async (t) => {
  const { url } = await startHub(t)
  const [kitchen] = [await openRoom(url), await openRoom(url)]
  await join(url, kitchen.room.code)
  t.strictSame(
    (await listed(url)).map(({ participantCount }) => participantCount),
    [1, 0],
  )
})

t.test('a password sets nothing in the list that could be read back', async (t) => {
  const { url } = await startHub(t)
  await openRoom(url, { name: 'Vault', password: 'open sesame' })
  const text = JSON.stringify(await listed(url))
  t.notMatch(text, /sesame/)
  t.notMatch(text, NAMES_A_SECRET)
})
