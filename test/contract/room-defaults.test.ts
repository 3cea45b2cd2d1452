import t, { type Test } from 'tap'
import type { JoinBody } from '../../schemas/participant.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'

interface Said {
  defaults?: object
  config?: NonNullable<JoinBody['config']>
  request?: object
}

/** What the participant's server is asked, where room, participant and request each say something. */
async function asked(t: Test, { defaults, config = {}, request }: Said): Promise<Record<string, unknown>> {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url, { name: 'Kitchen', defaults })
  await join(url, room.code, { endpoint: llm.url, config })
  await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [], ...request })
  return JSON.parse(String(llm.requests[0]?.body)) as Record<string, unknown>
}

t.test('`defaults` on `POST /rooms` (a `config`) is accepted, and used where a request is silent', async (t) => {
  t.hasStrict(await asked(t, { defaults: { temperature: 0.1, stop: 'END' } }), { temperature: 0.1, stop: ['END'] })
})

t.test('precedence: room defaults < participant defaults', async (t) => {
  const body = await asked(t, { defaults: { temperature: 0.1, seed: 1 }, config: { temperature: 0.5 } })
  t.hasStrict(body, { temperature: 0.5, seed: 1 })
})

t.test('precedence: participant defaults < the request', async (t) => {
  const body = await asked(t, { config: { temperature: 0.5, seed: 1 }, request: { temperature: 0.9 } })
  t.hasStrict(body, { temperature: 0.9, seed: 1 })
})

t.test('`defaults` is read leniently: nulls and unknown keys are dropped', async (t) => {
  const body = await asked(t, { defaults: { temperature: null, mood: 'sunny', seed: 7 } })
  t.equal(body.seed, 7)
  t.notOk('temperature' in body || 'mood' in body)
})

t.test('`defaults: null` is none', async (t) => {
  const { url } = await startHub(t)
  t.equal((await call('POST', `${url}/rooms`, { name: 'Kitchen', defaults: null })).status, 201)
})

t.test('mistyped `defaults` are refused with a sentence that names the field', async (t) => {
  const { url } = await startHub(t)
  const { status, body } = await call('POST', `${url}/rooms`, { name: 'Kitchen', defaults: { temperature: 'hot' } })
  t.equal(status, 400)
  t.match(body.error, /defaults\.temperature/)
})
