import t from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import { createProber, MAX_PROBES, type ProbeResult } from '../../plugins/health-monitor/prober.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import { manualClock } from '../support/clock.ts'
import { type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { participant } from '../support/participants.ts'
import { answerModels, leave, PROBE_INTERVAL_MS, PROBE_MAX_INTERVAL_MS, startProbingRoom } from '../support/probed.ts'

const SECOND_MS = 1000
/** Up to a fifth of a pause is left off at random, and the hub looks each second. */
const SHORTEST = 0.8

/** An endpoint that is no LLM server, and when it was asked, by the hub's own time. */
async function watch(t: Parameters<typeof startFakeLlm>[0], now: () => number): Promise<FakeLlm & { asked: number[] }> {
  const asked: number[] = []
  const llm = await startFakeLlm(t, ({ path }, response) => {
    if (path === '/v1/models') asked.push(now())
    response.writeHead(404).end()
  })
  return { ...llm, asked }
}

function pauses(asked: readonly number[]): number[] {
  return asked.slice(1).map((at, index) => at - (asked[index] ?? 0))
}

t.test('who answers is asked again about each ten seconds', async (t) => {
  const room = await startProbingRoom(t)
  const asked: number[] = []
  const llm = await startFakeLlm(t, (request, response) => {
    asked.push(room.now())
    return answerModels(request, response)
  })
  await room.joinProbed(llm.url)
  await room.live(120 * SECOND_MS)
  t.ok(asked.length >= 10)
  for (const pause of pauses(asked)) {
    t.ok(pause >= SHORTEST * PROBE_INTERVAL_MS && pause <= PROBE_INTERVAL_MS + SECOND_MS, `${pause} ms`)
  }
})

t.test('the pause doubles with each failure, up to its limit', async (t) => {
  const room = await startProbingRoom(t)
  const { url, asked } = await watch(t, room.now)
  await room.joinProbed(url)
  await room.live(300 * SECOND_MS)
  t.ok(asked.length >= 6)
  for (const [index, pause] of pauses(asked).entries()) {
    const whole = Math.min(PROBE_INTERVAL_MS * 2 ** index, PROBE_MAX_INTERVAL_MS)
    t.ok(pause >= SHORTEST * whole && pause <= whole + SECOND_MS, `pause ${index}: ${pause} ms of ${whole}`)
  }
})

t.test('a good answer ends that', async (t) => {
  const room = await startProbingRoom(t)
  const { url, asked, answer } = await watch(t, room.now)
  await room.joinProbed(url)
  await room.live(200 * SECOND_MS)
  asked.length = 0
  answer((request, response) => {
    asked.push(room.now())
    return answerModels(request, response)
  })
  await room.live(120 * SECOND_MS)
  for (const pause of pauses(asked)) t.ok(pause <= PROBE_INTERVAL_MS + SECOND_MS, `${pause} ms`)
})

t.test('who joins anew begins anew: what failed before is not held against it', async (t) => {
  const room = await startProbingRoom(t)
  const { url, asked } = await watch(t, room.now)
  await room.joinProbed(url)
  await room.live(200 * SECOND_MS)
  await leave(room)
  asked.length = 0
  await room.joinProbed(url)
  await room.live(30 * SECOND_MS)
  t.ok(asked.length >= 2, `asked ${asked.length} times in 30 s`)
})

/** A store with probed participants, and a prober that hears from the test what it finds. */
async function build(ids: readonly string[], answer: (id: string) => Promise<ProbeResult>) {
  const [clock, store] = [manualClock(1000), new MemoryRoomStore()]
  const host = { hostId: 'h', hostTokenHash: '' }
  const { room } = await store.createRoom({ name: 'x', ...host, listed: true, defaults: {}, createdAt: 0 })
  const target = { origin: 'http://127.0.0.1:1', basePath: '' }
  for (const id of ids) {
    const owner = { tokenHash: hashToken(id), tokenUsed: false }
    await store.join(room.id, { participant: participant({ id }), target, owner, liveness: 'probe' }, {})
  }
  const intervals = { intervalMs: PROBE_INTERVAL_MS, maxIntervalMs: PROBE_MAX_INTERVAL_MS, random: () => 0 }
  const prober = createProber({ store, probe: (record) => answer(record.participant.id), clock, ...intervals })
  return { clock, store, prober, roomId: room.id }
}

t.test('who has waited longest comes first: the front of the queue takes no turn twice', async (t) => {
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  const { store } = await build(ids, async () => ({ kind: 'alive' }))
  const first = await store.takeDueProbes(1000, 60_000, 2)
  for (const record of first) await store.recordProbe(record, { at: 1000, nextAt: 2000 })
  const rest: string[] = []
  for (let turn = 0; turn < 2; turn++) {
    rest.push(...(await store.takeDueProbes(2000, 60_000, 2)).map((record) => record.participant.id))
  }
  t.strictSame([...first.map((record) => record.participant.id), ...rest].sort(), ids)
})

// A LAN of sleeping machines answers none of the first questions, and each takes the whole of its time.
t.test('a crowd that does not answer keeps nobody from the first question', async (t) => {
  const TIMEOUT_MS = 5000
  const crowd = Array.from({ length: 6 * MAX_PROBES }, (_, index) => `sleeps-${index}`)
  const asked = new Set<string>()
  const waiting: { at: number; end: () => void }[] = []
  const { clock, prober } = await build([...crowd, 'alice'], async (id) => {
    asked.add(id)
    if (id === 'alice') return { kind: 'alive' }
    await new Promise<void>((end) => waiting.push({ at: clock.now() + TIMEOUT_MS, end }))
    return { kind: 'unreachable', reason: 'No answer in time' }
  })
  // Each of the crowd once, so many at a time, and a little more.
  const enough = (crowd.length / MAX_PROBES + 1) * TIMEOUT_MS
  for (let passed = 0; passed < enough; passed += SECOND_MS) {
    void prober.tick()
    await new Promise(setImmediate)
    clock.advance(SECOND_MS)
    for (const { at, end } of waiting) if (at <= clock.now()) end()
    await new Promise(setImmediate)
  }
  t.ok(asked.has('alice'), `asked so far: ${asked.size} of ${crowd.length + 1}`)
})
