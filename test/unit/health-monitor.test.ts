import t from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import { createHealthMonitor } from '../../plugins/health-monitor/monitor.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { participant } from '../support/participants.ts'

const TIMEOUT = 30_000
const TICK = 1000
const HEARTBEAT = 10_000
const PARTICIPANT_TTL = 24 * 3_600_000
const ROOM_TTL = 7 * PARTICIPANT_TTL

/** A monitor over a real store, and time that only the test lets pass. */
class Bench {
  readonly clock: ManualClock = manualClock(1_000_000_000)
  readonly store = new MemoryRoomStore()
  readonly monitor = createHealthMonitor({
    store: this.store,
    clock: this.clock,
    timeoutMs: TIMEOUT,
    tickMs: TICK,
    participantTtlMs: PARTICIPANT_TTL,
    roomTtlMs: ROOM_TTL,
  })
  /** Who went offline, and how long after the test began it was noticed. */
  readonly offline: string[] = []
  readonly #beating = new Set<string>()
  #roomId = ''

  static async with(...ids: string[]): Promise<Bench> {
    const bench = new Bench()
    const { room } = await bench.store.createRoom({
      name: 'Kitchen',
      hostId: 'host',
      hostTokenHash: hashToken('host'),
      listed: true,
      defaults: {},
      createdAt: bench.clock.now(),
    })
    bench.#roomId = room.id
    for (const id of ids) await bench.join(id)
    return bench
  }

  async join(id: string): Promise<void> {
    const now = this.clock.now()
    const owner = { tokenHash: hashToken(id), tokenUsed: false }
    const shown = participant({ id, joinedAt: now, lastSeen: now })
    await this.store.join(
      this.#roomId,
      { participant: shown, target: { origin: 'http://127.0.0.1:1', basePath: '' }, owner },
      {},
    )
    this.#beating.add(id)
  }

  /** It sends no heartbeats any more. */
  silence(id: string): void {
    this.#beating.delete(id)
  }

  async beat(id: string): Promise<void> {
    await this.store.heartbeat(this.#roomId, id, { tokenHash: hashToken(id) }, this.clock.now())
  }

  async tick(): Promise<number> {
    const before = await this.away()
    const { offline } = await this.monitor.tick()
    this.offline.push(...(await this.away()).filter((id) => !before.includes(id)))
    return offline
  }

  /** Time as it usually passes: a tick each second, a heartbeat each ten. @returns how often somebody went offline */
  async live(ms: number): Promise<number> {
    let count = 0
    for (let passed = TICK; passed <= ms; passed += TICK) {
      this.clock.advance(TICK)
      if (passed % HEARTBEAT === 0) for (const id of this.#beating) await this.beat(id)
      count += await this.tick()
    }
    return count
  }

  async away(): Promise<string[]> {
    const records = await this.store.listParticipants(this.#roomId)
    return records
      .map(({ participant }) => participant)
      .filter(({ status }) => status === 'offline')
      .map(({ id }) => id)
  }
}

t.test('who sends heartbeats stays', async (t) => {
  const bench = await Bench.with('alice', 'bob')
  t.equal(await bench.live(10 * TIMEOUT), 0)
})

t.test('who is silent goes offline after thirty seconds, not before', async (t) => {
  const bench = await Bench.with('alice', 'bob')
  bench.silence('alice')
  t.equal(await bench.live(TIMEOUT), 0)
  t.equal(await bench.live(TICK), 1)
  t.strictSame(bench.offline, ['alice'])
})

t.test('going offline is told once a change, not once a tick', async (t) => {
  const bench = await Bench.with('alice')
  bench.silence('alice')
  await bench.live(5 * TIMEOUT)
  await bench.beat('alice')
  await bench.live(5 * TIMEOUT)
  t.strictSame(bench.offline, ['alice', 'alice'])
})

t.test('a tick that comes a little late judges as usual', async (t) => {
  const bench = await Bench.with('alice')
  bench.silence('alice')
  await bench.live(TIMEOUT)
  bench.clock.advance(4 * TICK)
  t.equal(await bench.tick(), 1)
})

for (const jump of [10_000, 60_000, 3_600_000, 365 * 24 * 3_600_000]) {
  t.test(`a clock set forward by ${jump} ms takes nobody offline who goes on sending heartbeats`, async (t) => {
    const bench = await Bench.with('alice', 'bob')
    await bench.live(TIMEOUT)
    bench.clock.set(bench.clock.now() + jump)
    t.equal(await bench.live(5 * TIMEOUT), 0)
  })

  t.test(`nor does one set back by ${jump} ms`, async (t) => {
    const bench = await Bench.with('alice', 'bob')
    await bench.live(TIMEOUT)
    bench.clock.set(bench.clock.now() - jump)
    t.equal(await bench.live(5 * TIMEOUT), 0)
  })

  t.test(`who falls silent when the clock is set forward by ${jump} ms goes offline once`, async (t) => {
    const bench = await Bench.with('alice', 'bob')
    await bench.live(TIMEOUT)
    bench.silence('alice')
    bench.clock.set(bench.clock.now() + jump)
    await bench.live(5 * TIMEOUT)
    t.strictSame(bench.offline, ['alice'])
  })

  t.test(
    `who falls silent after the clock was set back by ${jump} ms goes offline once, in the usual time`,
    async (t) => {
      const bench = await Bench.with('alice', 'bob', 'carol')
      await bench.live(TIMEOUT)
      bench.silence('carol')
      bench.clock.set(bench.clock.now() - jump)
      await bench.live(2 * HEARTBEAT)
      bench.silence('alice')
      await bench.live(TIMEOUT + HEARTBEAT)
      t.ok(bench.offline.includes('alice'), `offline so far: ${bench.offline}`)
      t.notOk(bench.offline.includes('bob'))
    },
  )
}

t.test('a hub that slept gives everybody a whole timeout to be heard', async (t) => {
  const bench = await Bench.with('alice', 'bob')
  await bench.live(TIMEOUT)
  bench.clock.advance(8 * 3_600_000)
  t.equal(await bench.tick(), 0, 'nobody is judged at once')
  bench.silence('bob')
  t.equal(await bench.live(TIMEOUT - 2 * TICK), 0)
  t.equal(await bench.live(3 * TICK), 1)
  t.strictSame(bench.offline, ['bob'])
})

// After a machine has woken up, time servers put its clock right by a second or two.
for (const step of [-3000, 3000]) {
  t.test(`nor does a small step of ${step} ms take that time away`, async (t) => {
    const bench = await Bench.with('alice', 'bob')
    await bench.live(TIMEOUT)
    bench.clock.advance(8 * 3_600_000)
    t.equal(await bench.tick(), 0)
    bench.clock.set(bench.clock.now() + step)
    t.equal(await bench.live(2 * HEARTBEAT), 0)
  })
}

t.test('a clock that jumps to and fro takes nobody offline, and goes on working', async (t) => {
  const bench = await Bench.with('alice', 'bob')
  for (const jump of [3_600_000, -7_200_000, 20_000, -20_000, 3_600_000]) {
    bench.clock.set(bench.clock.now() + jump)
    t.equal(await bench.live(HEARTBEAT), 0)
  }
  await bench.live(TIMEOUT)
  bench.silence('bob')
  await bench.live(2 * TIMEOUT)
  t.strictSame(bench.offline, ['bob'])
})

t.test('who stays offline is removed after a day, and the room a week later', async (t) => {
  const bench = await Bench.with('alice')
  bench.silence('alice')
  await bench.live(2 * TIMEOUT)
  // A day in steps that are no jump.
  const swept = { expired: 0, closed: 0 }
  const monitor = createHealthMonitor({
    store: bench.store,
    clock: bench.clock,
    timeoutMs: TIMEOUT,
    tickMs: 3_600_000,
    participantTtlMs: PARTICIPANT_TTL,
    roomTtlMs: ROOM_TTL,
  })
  const pass = async (hours: number) => {
    for (let hour = 0; hour < hours; hour++) {
      bench.clock.advance(3_600_000)
      const { expired, closed } = await monitor.tick()
      swept.expired += expired
      swept.closed += closed
    }
    return { ...swept }
  }
  t.strictSame(await pass(23), { expired: 0, closed: 0 })
  t.strictSame(await pass(2), { expired: 1, closed: 0 })
  t.strictSame(await pass(6 * 24), { expired: 1, closed: 0 }, 'somebody was there until a few days ago')
  t.strictSame(await pass(2 * 24), { expired: 1, closed: 1 })
})

t.test('a clock that jumps by a year removes and closes nothing at once', async (t) => {
  const bench = await Bench.with('alice')
  bench.silence('alice')
  await bench.live(2 * TIMEOUT)
  bench.clock.set(bench.clock.now() + 365 * PARTICIPANT_TTL)
  t.match(await bench.monitor.tick(), { expired: 0, closed: 0 })
})
