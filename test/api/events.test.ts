import t, { type Test } from 'tap'
import { answerNever, answerPlain, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { checkOf, type JsonSchema } from '../support/json-schema.ts'
import { startTimedHub, type TimedHub } from '../support/manual-time.ts'
import type { OpenApi } from '../support/openapi.ts'
import { type EventReader, readEvents } from '../support/sse.ts'

const ROOM_STREAM = '/rooms/{code}/events'

async function streamSchema(url: string, path: string): Promise<JsonSchema> {
  const { body } = await call<OpenApi>('GET', `${url}/openapi.json`)
  const media = body.paths[path]?.get?.responses[200]?.content?.['text/event-stream']
  if (media === undefined) throw new Error(`no event stream is described at ${path}`)
  return media.schema
}

/** The schema of each event's data, by the event's name, for one of the two streams. */
async function describedEvents(url: string, path: string): Promise<Record<string, JsonSchema>> {
  return (await streamSchema(url, path))['x-events'] as Record<string, JsonSchema>
}

interface Evening {
  hub: TimedHub
  llm: FakeLlm
  room: string
  host: Record<string, string>
  alice: Record<string, string>
  reader: EventReader
}

/** A room with alice in it, watched by somebody who missed what nobody kept. */
async function begin(t: Test): Promise<Evening> {
  const [hub, llm] = [await startTimedHub(t), await startFakeLlm(t, answerPlain('Hi'))]
  const { room, hostToken } = await openRoom(hub.url)
  const path = `${hub.url}/rooms/${room.code}`
  const reader = await readEvents(t, `${path}/events`, { 'last-event-id': 'another.1.1' })
  const { token } = await join(hub.url, room.code, { endpoint: llm.url })
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })
  return { hub, llm, room: path, host: bearer(hostToken), alice: bearer(token), reader }
}

async function chat({ room }: Evening, model: string, signal: AbortSignal | null = null): Promise<void> {
  const body = JSON.stringify({ model, messages: [] })
  await fetch(`${room}/v1/chat/completions`, { method: 'POST', body, signal }).then((answer) => answer.text())
}

/** The next event of that name must be as it is described. */
async function sees(t: Test, { reader }: Evening, events: Record<string, JsonSchema>, ...names: string[]) {
  for (const name of names) {
    const { data } = await reader.next(name)
    const schema = events[name]
    t.ok(schema, `${name} is described`)
    if (schema !== undefined) t.same(checkOf(schema)(data), [], name)
  }
}

t.test('what happens in a room comes in events as they are described, one after the other', async (t) => {
  const evening = await begin(t)
  const { hub, llm, room, host, alice } = evening
  const events = await describedEvents(hub.url, ROOM_STREAM)
  await sees(t, evening, events, 'connected', 'gap', 'participant:joined')
  await openRoom(hub.url)
  await call('PATCH', room, { name: 'Another name' }, host)
  await call('PATCH', `${room}/participants/alice`, { slots: 2 }, alice)
  await sees(t, evening, events, 'room:created', 'room:updated', 'participant:updated')
  await chat(evening, 'alice')
  await sees(t, evening, events, 'llm:request', 'llm:complete')
  await join(hub.url, room.slice(-6), { id: 'bob', model: 'gone', endpoint: 'http://127.0.0.1:1' })
  await chat(evening, 'bob')
  await sees(t, evening, events, 'llm:error')
  llm.answer(answerNever)
  const client = new AbortController()
  const given = chat(evening, 'alice', client.signal).catch(() => {})
  await evening.reader.next('llm:request')
  await evening.reader.next('llm:request')
  client.abort()
  await given
  await sees(t, evening, events, 'llm:cancelled')
  await hub.pass(31_000)
  await call('POST', `${room}/health`, { id: 'alice' }, alice)
  await sees(t, evening, events, 'participant:offline', 'participant:online')
  await call('DELETE', `${room}/leave/alice`, undefined, alice)
  await call('DELETE', room, undefined, host)
  await sees(t, evening, events, 'participant:left', 'room:closed')
})

t.test("the hub-wide stream describes the rooms' events, and none of what happens inside them", async (t) => {
  const { url } = await startHub(t)
  const events = await describedEvents(url, '/events')
  t.same(Object.keys(events).sort(), ['connected', 'gap', 'room:closed', 'room:created', 'room:updated'])
})

t.test('no event has a place for a prompt, an answer, a password or a token', async (t) => {
  const { url } = await startHub(t)
  const fields = JSON.stringify(await describedEvents(url, ROOM_STREAM))
  t.notMatch(fields, /"(prompt|messages|content|password|token|hostToken|key)":/)
})

t.test('the example of a frame is one', async (t) => {
  const { url } = await startHub(t)
  const [example] = (await streamSchema(url, ROOM_STREAM)).examples as string[]
  const [, name = '', data = ''] = /^id: \S+\nevent: (\S+)\ndata: (.*)\n\n$/.exec(example ?? '') ?? []
  const events = await describedEvents(url, ROOM_STREAM)
  t.same(checkOf(events[name] ?? { not: {} })(JSON.parse(data)), [])
})
