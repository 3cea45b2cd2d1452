import t from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'

async function listed(url: string, code: string): Promise<Participant[]> {
  const { body } = await call<{ participants: Participant[] }>('GET', `${url}/rooms/${code}/participants`)
  return body.participants
}

t.test('GET /rooms/:code/participants: 200 {participants:[...]}', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { status, body } = await call('GET', `${url}/rooms/${room.code}/participants`)
  t.equal(status, 200)
  t.strictSame(body, { participants: [] })
})

t.test('participant = {id,nickname,model,endpoint,specs,config,status,joinedAt,lastSeen}', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { participant } = await join(url, room.code, { specs: { gpu: 'M3' }, config: { seed: 1 } })
  t.strictSame(await listed(url, room.code), [participant])
  const base = ['config', 'endpoint', 'id', 'joinedAt', 'lastSeen', 'model', 'nickname', 'specs', 'status']
  t.strictSame(
    base.filter((key) => !(key in participant)),
    [],
  )
})

t.test('participants are listed in the order of joining', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const ids = ['zoe', '10', 'alice', '9']
  for (const id of ids) await join(url, room.code, { id })
  t.strictSame(
    (await listed(url, room.code)).map(({ id }) => id),
    ids,
  )
})

t.test('only the participants of that room are listed', async (t) => {
  const { url } = await startHub(t)
  const [kitchen, garden] = [(await openRoom(url)).room, (await openRoom(url)).room]
  await join(url, kitchen.code)
  t.strictSame(await listed(url, garden.code), [])
})

t.test('participants: 404 `Room not found`', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call('GET', `${url}/rooms/ABC234/participants`)
  t.equal(status, 404)
  t.strictSame(body, { error: 'Room not found' })
})
