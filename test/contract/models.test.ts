import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'

interface ListedModel {
  id: string
  object: string
  created: number
  owned_by: string
  gambiarra?: { nickname: string; model: string; endpoint: string }
  potluck?: object
}

async function listed(url: string, code: string): Promise<ListedModel[]> {
  const { body } = await call<{ object: string; data: ListedModel[] }>('GET', `${url}/rooms/${code}/v1/models`)
  return body.data
}

async function idsOf(url: string, code: string): Promise<string[]> {
  return (await listed(url, code)).map(({ id }) => id)
}

t.test('GET /rooms/:code/v1/models: 200, an OpenAI list; empty where nobody is', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { status, body } = await call('GET', `${url}/rooms/${room.code}/v1/models`)
  t.equal(status, 200)
  t.strictSame(body, { object: 'list', data: [] })
})

t.test('each model on offer by name, then each participant by id, `*` last if there is any', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { id: 'alice', model: 'llama3.2:3b' })
  await join(url, room.code, { id: 'bob', model: 'qwen3:8b' })
  await join(url, room.code, { id: 'carol', model: 'llama3.2:3b' })
  t.strictSame(await idsOf(url, room.code), ['llama3.2:3b', 'qwen3:8b', 'alice', 'bob', 'carol', '*'])
})

t.test('every entry has the fields of an OpenAI model', async (t) => {
  const { url, now } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  for (const model of await listed(url, room.code)) {
    t.hasStrict(model, { object: 'model', created: Math.floor(now() / 1000) })
    t.type(model.owned_by, 'string')
  }
})

t.test(
  'a participant: `owned_by` its nickname; `gambiarra: {nickname, model, endpoint}`, ours in `potluck`',
  async (t) => {
    const { url } = await startHub(t)
    const { room } = await openRoom(url)
    const { participant } = await join(url, room.code, { endpoint: 'http://127.0.0.1:1/v1/' })
    const entry = (await listed(url, room.code)).find(({ id }) => id === 'alice')
    const { nickname, model, endpoint } = participant
    t.equal(entry?.owned_by, nickname)
    t.strictSame(entry?.gambiarra, { nickname, model, endpoint })
    t.type(entry?.potluck, 'object')
  },
)

t.test('`gambiarra` is on participants alone', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code)
  const others = (await listed(url, room.code)).filter(({ id }) => id !== 'alice')
  t.strictSame(
    others.map(({ id, gambiarra }) => ({ id, gambiarra })),
    [
      { id: 'llama3.2:3b', gambiarra: undefined },
      { id: '*', gambiarra: undefined },
    ],
  )
})

t.test('who is away is not listed, nor is its model, nor `*` if all are', async (t) => {
  const { url, pass } = await startTimedHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { id: 'alice', model: 'llama3.2:3b' })
  await join(url, room.code, { id: 'bob', model: 'qwen3:8b' })
  await pass(20_000)
  await call('POST', `${url}/rooms/${room.code}/health`, { id: 'bob' })
  await pass(11_000)
  t.strictSame(await idsOf(url, room.code), ['qwen3:8b', 'bob', '*'])
  await pass(30_000)
  t.strictSame(await idsOf(url, room.code), [])
})

t.test('models: 404', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call<{ error: { message: string } }>('GET', `${url}/rooms/ABC234/v1/models`)
  t.equal(status, 404)
  t.equal(body.error.message, 'Room not found')
})
