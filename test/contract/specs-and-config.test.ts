import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, type Joined, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'

const ENTRY = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

/** One participant as each of the three places shows it: the answer, the list, the event. */
async function shown(t: Test, given: Record<string, unknown>): Promise<Participant[]> {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  const { body: joined } = await call<Joined>('POST', `${url}/rooms/${room.code}/join`, { ...ENTRY, ...given })
  const path = `${url}/rooms/${room.code}/participants`
  const { body: list } = await call<{ participants: Participant[] }>('GET', path)
  const { data } = await reader.next('participant:joined')
  return [joined.participant, list.participants[0] as Participant, data as Participant]
}

t.test('`specs` = {gpu?,cpu?} (names) and {vram?,ram?} (GB)', async (t) => {
  const specs = { gpu: 'RTX 4090', cpu: 'Ryzen 9', vram: 24, ram: 63.9 }
  for (const participant of await shown(t, { specs })) t.strictSame(participant.specs, specs)
})

t.test('`config` = {temperature?,top_p?,max_tokens?,stop?,frequency_penalty?,presence_penalty?,seed?}', async (t) => {
  const numbers = {
    temperature: 0.7,
    top_p: 0.9,
    max_tokens: 512,
    frequency_penalty: 0.1,
    presence_penalty: -0.1,
    seed: 42,
  }
  const config = { ...numbers, stop: ['END', '###'] }
  for (const participant of await shown(t, { config })) t.strictSame(participant.config, config)
})

t.test('`specs` and `config` are read leniently: unknown keys and nulls dropped', async (t) => {
  const specs = { gpu: null, cpu: 'M3', vram: null, npu: 'yes', disks: { a: 1 } }
  const config = { temperature: null, stop: null, seed: 7, mirostat: 2, options: null }
  for (const participant of await shown(t, { specs, config })) {
    t.strictSame(participant.specs, { cpu: 'M3' })
    t.strictSame(participant.config, { seed: 7 })
  }
})

t.test('`stop` is a string or a list when it is read, and a list when it is shown', async (t) => {
  for (const participant of await shown(t, { config: { stop: 'END' } })) t.strictSame(participant.config.stop, ['END'])
})

t.test('absent beats null in every event and answer', async (t) => {
  const nulls = { specs: null, config: null, password: null, authHeaders: null }
  for (const participant of await shown(t, nulls)) {
    t.notMatch(JSON.stringify(participant), 'null')
    t.strictSame([participant.specs, participant.config], [{}, {}])
  }
})

t.test('zero and the empty text are values, not absence', async (t) => {
  const given = { specs: { vram: 0, gpu: '' }, config: { temperature: 0, seed: 0 } }
  for (const { specs, config } of await shown(t, given)) t.strictSame({ specs, config }, given)
})

t.test('a value of another type is refused with a sentence that names the field', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const wrong = [
    ['specs', 'RTX 4090'],
    ['specs.vram', '24 GB'],
    ['specs.gpu', 4090],
    ['config.temperature', 'hot'],
    ['config.stop', 12],
    ['config.seed', true],
  ] as const
  for (const [field, value] of wrong) {
    const [outer, inner] = field.split('.') as [string, string?]
    const given = { [outer]: inner === undefined ? value : { [inner]: value } }
    const { status, body } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ENTRY, ...given })
    t.equal(status, 400, field)
    t.ok(String(body.error).startsWith(`${field} must be `), String(body.error))
  }
})
