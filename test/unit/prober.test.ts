import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import { createProber, MAX_PROBES, type ProbeResult } from '../../plugins/health-monitor/prober.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { manualClock } from '../support/clock.ts'
import { participant } from '../support/participants.ts'

const INTERVAL = 10_000
const MAX_INTERVAL = 60_000
const GONE: ProbeResult = { kind: 'unreachable', reason: 'Connection refused' }

type Answer = (record: ParticipantRecord) => Promise<ProbeResult>

/** A prober over a real store with probed participants, asked by whatever the test says. */
async function build(ids: readonly string[], answer: Answer) {
  const clock = manualClock(1000)
  const store = new MemoryRoomStore()
  const asked: { id: string; at: number }[] = []
  const { room } = await store.createRoom({
    name: 'x',
    hostId: 'h',
    hostTokenHash: '',
    listed: true,
    defaults: {},
    createdAt: 0,
  })
  for (const id of ids) {
    const owner = { tokenHash: hashToken(id), tokenUsed: false }
    const target = { origin: 'http://127.0.0.1:1', basePath: '' }
    await store.join(room.id, { participant: participant({ id }), target, owner, liveness: 'probe' }, {})
  }
  const probe: Answer = (record) => {
    asked.push({ id: record.participant.id, at: clock.now() })
    return answer(record)
  }
  const prober = createProber({
    store,
    probe,
    clock,
    intervalMs: INTERVAL,
    maxIntervalMs: MAX_INTERVAL,
    random: () => 0,
  })
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 1000) {
      clock.advance(1000)
      await prober.tick()
    }
  }
  return { store, prober, asked, pass, roomId: room.id }
}

t.test('who answers is asked again after the interval', async (t) => {
  const { prober, asked, pass } = await build(['alice'], async () => ({ kind: 'alive' }))
  await prober.tick()
  await pass(30_000)
  t.strictSame(
    asked.map(({ at }) => at),
    [1000, 11_000, 21_000, 31_000],
  )
})

t.test('the pause doubles with each failure, up to its limit, and a good answer ends that', async (t) => {
  let result: ProbeResult = GONE
  const { prober, asked, pass } = await build(['alice'], async () => result)
  await prober.tick()
  await pass(250_000)
  const pauses = () => asked.slice(1).map(({ at }, index) => at - (asked[index]?.at ?? 0))
  t.strictSame(pauses(), [10_000, 20_000, 40_000, 60_000, 60_000, 60_000])
  result = { kind: 'alive' }
  await pass(60_000)
  result = GONE
  await pass(40_000)
  t.strictSame(pauses().slice(6), [60_000, 10_000, 10_000, 20_000])
})

t.test('who can’t be reached at the very first probe is offline at once', async (t) => {
  const { prober, store, roomId } = await build(['alice'], async () => GONE)
  await prober.tick()
  t.match((await store.getParticipant(roomId, 'alice')).participant, {
    status: 'offline',
    offlineReason: 'Connection refused',
  })
})

t.test('who answered before is only silent at a failure', async (t) => {
  let result: ProbeResult = { kind: 'alive' }
  const { prober, store, roomId, pass } = await build(['alice'], async () => result)
  await pass(1000)
  result = GONE
  await pass(INTERVAL)
  await prober.tick()
  t.match((await store.getParticipant(roomId, 'alice')).participant, { status: 'online', lastSeen: 2000 })
})

t.test('who turns out to be no LLM server is offline at once', async (t) => {
  let result: ProbeResult = { kind: 'alive' }
  const { store, roomId, pass } = await build(['alice'], async () => result)
  await pass(1000)
  result = { kind: 'stranger', reason: 'This is no LLM server' }
  await pass(INTERVAL)
  t.match((await store.getParticipant(roomId, 'alice')).participant, {
    status: 'offline',
    offlineReason: 'This is no LLM server',
  })
})

t.test('no more than so many are asked at once', async (t) => {
  const ids = Array.from({ length: MAX_PROBES + 10 }, (_, index) => `p${index}`)
  const held = Promise.withResolvers<ProbeResult>()
  const { prober, asked } = await build(ids, () => held.promise)
  const ticks = [prober.tick(), prober.tick(), prober.tick()]
  await ticks[2]
  await setImmediate()
  t.equal(asked.length, MAX_PROBES)
  held.resolve({ kind: 'alive' })
  await Promise.all(ticks)
  await prober.tick()
  t.equal(new Set(asked.map(({ id }) => id)).size, ids.length)
})

t.test('a probe that fails by a fault of the hub takes no place from the others', async (t) => {
  const ids = Array.from({ length: MAX_PROBES }, (_, index) => `p${index}`)
  const { prober, asked, pass } = await build(ids, () => Promise.reject(new Error('a fault')))
  await t.rejects(prober.tick(), { message: 'a fault' })
  await pass(59_000).catch(() => {})
  await t.rejects(pass(2000))
  t.equal(asked.length, 2 * MAX_PROBES, 'all of them are asked again when their lease has run out')
})
