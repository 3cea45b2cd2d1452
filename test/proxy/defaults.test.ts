import t, { type Test } from 'tap'
import { send } from '../support/chat.ts'
import { openKitchen } from '../support/kitchen.ts'

interface Case {
  room?: object
  participant?: object
  request: object
}

async function forwarded(t: Test, { room = {}, participant = {}, request }: Case): Promise<Record<string, unknown>> {
  const options = { room: { defaults: room }, participant: { config: participant } }
  const { chatUrl, llm } = await openKitchen(t, undefined, options)
  await send(t, chatUrl, { model: 'llama3.2:3b', ...request })
  const { model: _, ...body } = JSON.parse(llm.requests[0]!.body.toString()) as Record<string, unknown>
  return body
}

const ALL = {
  temperature: 0.5,
  top_p: 0.9,
  max_tokens: 64,
  stop: ['END', '\n\n'],
  frequency_penalty: 0.1,
  presence_penalty: -0.1,
  seed: 42,
}

t.test("a participant's config is applied where the request is silent", async (t) => {
  t.strictSame(await forwarded(t, { participant: ALL, request: {} }), ALL)
})

t.test("a room's defaults are applied where request and participant are silent", async (t) => {
  t.strictSame(await forwarded(t, { room: ALL, request: {} }), ALL)
})

t.test('room < participant < request, field by field', async (t) => {
  const body = await forwarded(t, {
    room: { temperature: 0.1, top_p: 0.1, seed: 1 },
    participant: { temperature: 0.2, top_p: 0.2 },
    request: { temperature: 0.3 },
  })
  t.strictSame(body, { temperature: 0.3, top_p: 0.2, seed: 1 })
})

t.test('what the request says stands, zero and empty too', async (t) => {
  const request = { temperature: 0, stop: [], seed: 0, max_tokens: 1 }
  t.strictSame(
    await forwarded(t, { participant: { temperature: 1, stop: ['x'], seed: 7, max_tokens: 9 }, request }),
    request,
  )
})

t.test('max_completion_tokens says how long, so max_tokens is not added', async (t) => {
  const request = { max_completion_tokens: 5 }
  t.strictSame(await forwarded(t, { room: { max_tokens: 10 }, participant: { max_tokens: 20 }, request }), request)
})

t.test('a field inside another object is not the request speaking', async (t) => {
  const request = { metadata: { temperature: 1 } }
  t.strictSame(await forwarded(t, { participant: { temperature: 0.2 }, request }), { temperature: 0.2, ...request })
})

t.test('one stop sequence given as a string goes on as a list', async (t) => {
  t.strictSame(await forwarded(t, { participant: { stop: 'END' }, request: {} }), { stop: ['END'] })
})

t.test('nothing is added where nothing was set', async (t) => {
  t.strictSame(await forwarded(t, { participant: { temperature: null }, request: { n: 1 } }), { n: 1 })
})

t.test('what the client wrote stays to the byte behind what was added', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, undefined, { participant: { config: { temperature: 0.5 } } })
  const rest = ' "n" : 1e400, "s":"\\u00e9", "model" : "llama3.2:3b" }\n'
  await send(t, chatUrl, `{${rest}`)
  t.equal(llm.requests[0]!.body.toString(), `{"temperature":0.5,${rest}`)
})
