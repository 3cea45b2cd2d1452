import t from 'tap'
import { createScheduler, type Grant } from '../../plugins/ollama-proxy/choosing/scheduler.ts'
import { MODEL, openTable, type Request, setPlaces } from './table.ts'

const counts = (requests: readonly Request[]) => ({
  granted: requests.filter(({ grants }) => grants === 1).length,
  refused: requests.filter(({ refusals }) => refusals === 1).length,
  twice: requests.filter(({ grants, refusals }) => grants + refusals > 1).length,
})

/** One participant, whose slots are all taken. */
function openFull(slots = 1) {
  const table = openTable()
  table.put({ key: 'alice', slots })
  table.set('alice')
  const running = Array.from({ length: slots }, () => table.ask('first').grant!)
  return { ...table, running }
}

t.test('who waits is told its place, and comes in its turn', async (t) => {
  const { ask, running, scheduler } = openFull()
  const waiting = [ask('a'), ask('a'), ask('a')]
  t.strictSame(
    waiting.map(({ position }) => position),
    [1, 2, 3],
  )
  t.equal(scheduler.waitingIn('room'), 3)
  running[0]!.release()
  for (const [index, request] of waiting.entries()) {
    t.equal(request.grants, 1)
    t.equal(scheduler.waitingIn('room'), 2 - index)
    request.grant!.release()
  }
  t.equal(scheduler.waitingIn('room'), 0)
  t.equal(scheduler.waitingIn('no room'), 0)
})

t.test('a slot that is given back twice is one slot', async (t) => {
  const { ask, running, scheduler } = openFull()
  const waiting = [ask('a'), ask('b'), ask('c')]
  for (let time = 0; time < 3; time++) running[0]!.release()
  t.strictSame(counts(waiting), { granted: 1, refused: 0, twice: 0 })
  t.equal(scheduler.runningOn('alice'), 1)
})

t.test('who has left is not served, and leaving again does nothing', async (t) => {
  const { ask, running, scheduler } = openFull()
  const [first, second] = [ask('a'), ask('a')]
  first.leave()
  first.leave()
  t.equal(scheduler.waitingIn('room'), 1)
  running[0]!.release()
  t.equal(first.grants, 0)
  t.equal(second.grants, 1)
  second.leave()
  t.equal(scheduler.waitingIn('room'), 0)
  t.equal(scheduler.runningOn('alice'), 1)
})

t.test('who was given least comes first, whoever has waited longer', async (t) => {
  const { ask, running, told } = openFull()
  const greedy = Array.from({ length: 5 }, () => ask('first'))
  const [modest, other] = [ask('modest'), ask('other')]
  told.now += 30_000
  running[0]!.release()
  t.equal(modest.grants, 1)
  told.now += 10_000
  modest.grant!.release()
  t.equal(other.grants, 1)
  told.now += 50_000
  other.grant!.release()
  t.equal(greedy[0]!.grants, 1, 'some 30 s against 10 and 50')
})

t.test('a client of 5,000 requests waits behind nobody else, and may leave at once', async (t) => {
  const { ask, running, scheduler, told } = openFull()
  const flood = Array.from({ length: 5000 }, () => ask('flood'))
  const others = [ask('a'), ask('b')]
  t.equal(scheduler.waitingIn('room'), 5002)
  running[0]!.release()
  const [served] = flood.filter(({ grants }) => grants === 1)
  t.equal(served, flood[0], 'it came first, and had been given nothing')
  told.now += 100
  served!.grant!.release()
  t.equal(others[0]!.grants, 1)
  for (const { leave } of flood) leave()
  t.equal(scheduler.waitingIn('room'), 1)
  others[0]!.grant!.release()
  t.equal(others[1]!.grants, 1)
  t.strictSame(counts(flood), { granted: 1, refused: 0, twice: 0 })
  t.equal(scheduler.waitingIn('room'), 0)
})

t.test('5,000 who leave in any order leave the others in theirs', async (t) => {
  const { ask, running, scheduler } = openFull()
  const all = Array.from({ length: 5000 }, () => ask('a'))
  const stays = (index: number) => index % 50 === 7
  for (let step = 0; step < all.length; step++) {
    const index = (step * 1237) % all.length
    if (!stays(index)) all[index]!.leave()
  }
  const left = all.filter((_, index) => stays(index))
  t.equal(scheduler.waitingIn('room'), left.length)
  let grant = running[0]
  for (const request of left) {
    grant!.release()
    if (request.grants !== 1) t.fail('out of order')
    grant = request.grant
  }
  t.equal(scheduler.waitingIn('room'), 0)
})

// --- who could serve them goes

t.test('when all participants are gone, each of 1,000 who wait is told so, once', async (t) => {
  const { ask, put, set, scheduler } = openTable()
  put({ key: 'alice' }, { key: 'bob' })
  set('alice', 'bob')
  const running = [ask('x').grant!, ask('x').grant!]
  const waiting = Array.from({ length: 1000 }, (_, index) => ask(`client ${index % 30}`))
  scheduler.removeSeat('alice')
  t.strictSame(counts(waiting), { granted: 0, refused: 0, twice: 0 })
  scheduler.removeSeat('bob')
  t.strictSame(counts(waiting), { granted: 0, refused: 1000, twice: 0 })
  t.equal(scheduler.waitingIn('room'), 0)
  for (const { release } of running) release()
  for (const { leave } of waiting) leave()
  put({ key: 'alice' })
  set('alice')
  t.strictSame(counts(waiting), { granted: 0, refused: 1000, twice: 0 })
  t.equal(ask('y').grants, 1)
})

t.test('as it is when they are closed, or unable, and that is told', async (t) => {
  for (const closed of ['paused', 'offline', 'failing'] as const) {
    const { ask, put, set } = openFull()
    const waiting = ask('a')
    put({ key: 'alice', closed })
    set('alice')
    t.equal(waiting.refusals, 1, closed)
  }
  const { ask, set } = openFull()
  const waiting = ask('a')
  set({ key: 'alice', isUnable: true })
  t.equal(waiting.refusals, 1)
})

t.test('who is told that nobody is left may take others along', async (t) => {
  const { kind, scheduler, ask, put, set } = openTable()
  put({ key: 'alice' })
  set('alice')
  ask('x')
  const told: string[] = []
  const entered = ['a', 'b', 'c'].map((client) =>
    kind.enter(
      { client },
      {
        onGrant: () => void told.push(`${client} granted`),
        onNobody() {
          told.push(client)
          for (const waiting of entered) waiting?.leave()
        },
      },
    ),
  )
  scheduler.removeSeat('alice')
  t.equal(told.length, 1, 'who has left is not told')
  t.equal(scheduler.waitingIn('room'), 0)
})

t.test('nobody is told while somebody comes instead', async (t) => {
  const { ask, put, set, scheduler } = openFull()
  const waiting = ask('a')
  put({ key: 'bob' })
  set('bob')
  t.equal(waiting.grant?.key, 'bob')
  t.equal(waiting.refusals, 0)
  scheduler.removeSeat('alice')
  t.equal(waiting.refusals, 0)
})

t.test('more slots, or a participant that opens, serve who waits at once', async (t) => {
  const { ask, put, set } = openFull()
  const waiting = Array.from({ length: 6 }, () => ask('a'))
  put({ key: 'alice', slots: 3 })
  t.equal(counts(waiting).granted, 2)
  put({ key: 'alice', slots: 1 })
  put({ key: 'bob', closed: 'paused', slots: 2 })
  set('alice', 'bob')
  t.equal(counts(waiting).granted, 2)
  put({ key: 'bob', slots: 2 })
  t.equal(counts(waiting).granted, 4)
  put({ key: 'bob', slots: Number.MAX_SAFE_INTEGER })
  t.equal(counts(waiting).granted, 6)
})

t.test('with fewer slots than run, nobody is served until enough have ended', async (t) => {
  const { ask, put, running, scheduler } = openFull(4)
  const waiting = [ask('a'), ask('b')]
  put({ key: 'alice', slots: 2 })
  for (const [index, { release }] of running.slice(0, 2).entries()) {
    release()
    t.equal(counts(waiting).granted, 0, `${3 - index} run`)
  }
  running[2]!.release()
  t.equal(counts(waiting).granted, 1)
  t.equal(scheduler.runningOn('alice'), 2)
})

// --- servers that are shared

/** Two rooms, in each of which a participant is the same server. */
function openTwoRooms(slots: number, otherSlots = slots) {
  const table = openTable()
  table.put({ key: 'one/alice', machine: 'http://alice', slots })
  table.put({ key: 'two/alice', machine: 'http://alice', slots: otherSlots })
  const two = table.scheduler.addKind('two')
  table.set('one/alice')
  setPlaces(two, 'two/alice')
  return { ...table, two }
}

t.test('two rooms share a server: neither gets more than is there', async (t) => {
  const { ask, two, scheduler, kind } = openTwoRooms(2)
  const first = ask('a')
  const second = ask('b', {}, two)
  t.equal(first.grants + second.grants, 2)
  t.equal(kind.isFull, true)
  t.equal(two.isFull, true)
  t.equal(scheduler.isBusy('one/alice'), true)
  t.equal(scheduler.runningOn('one/alice'), 1)
  const waiting = [ask('c'), ask('d', {}, two)]
  t.equal(scheduler.waitingIn('room'), 1)
  t.equal(scheduler.waitingIn('two'), 1)
  second.grant!.release()
  t.equal(waiting[0]!.grants, 1, 'a slot that one room gives back serves the other')
  first.grant!.release()
  t.equal(waiting[1]!.grants, 1)
})

t.test('where they say different things, the larger is the server, and each keeps to its own', async (t) => {
  const { ask, two, scheduler } = openTwoRooms(1, 3)
  const one = [ask('a'), ask('a')]
  const other = [ask('b', {}, two), ask('b', {}, two), ask('b', {}, two)]
  t.strictSame(
    [...one, ...other].map(({ grants }) => grants),
    [1, 0, 1, 1, 0],
  )
  one[0]!.grant!.release()
  t.equal(one[1]!.grants + other[2]!.grants, 1)
  t.equal(scheduler.runningOn('one/alice') + scheduler.runningOn('two/alice'), 3)
})

t.test('who was given less, in whichever room, is served there first', async (t) => {
  const { ask, two, told } = openTwoRooms(1)
  const first = ask('a').grant!
  told.now += 20_000
  const [again, other] = [ask('a'), ask('b', {}, two)]
  first.release()
  t.equal(other.grants, 1)
  other.grant!.release()
  t.equal(again.grants, 1)
})

t.test('when the larger of two leaves, the server is as large as the other says', async (t) => {
  const { ask, two, scheduler } = openTwoRooms(2, 4)
  const large = [ask('b', {}, two), ask('b', {}, two), ask('b', {}, two)]
  scheduler.removeSeat('two/alice')
  const small = ask('a')
  t.equal(small.grants, 0, 'three run, two are the most by now')
  large[0]!.grant!.release()
  t.equal(small.grants, 0)
  large[1]!.grant!.release()
  t.equal(small.grants, 1)
  large[2]!.grant!.release()
})

t.test('one room is forgotten, the other goes on', async (t) => {
  const { ask, two, kind, scheduler } = openTwoRooms(1)
  const running = ask('b', {}, two)
  const waiting = ask('a')
  scheduler.removeSeat('two/alice')
  scheduler.forgetRoom('two')
  two.remove()
  t.equal(waiting.grants, 0)
  running.grant!.release()
  t.equal(waiting.grants, 1)
  t.equal(kind.isIdle, true)
})

// --- servers that change

t.test('a participant that moves while requests run has all its slots where it is now', async (t) => {
  const { ask, put, running, scheduler } = openFull(2)
  const waiting = [ask('a'), ask('a'), ask('a')]
  put({ key: 'alice', slots: 2, machine: 'http://elsewhere' })
  t.equal(counts(waiting).granted, 2)
  for (const { release } of running) release()
  t.equal(counts(waiting).granted, 2, 'what ran where it was gives no slot back where it is')
  t.equal(scheduler.runningOn('alice'), 2)
  waiting[0]!.grant!.release()
  t.equal(counts(waiting).granted, 3)
})

t.test('and finds what still runs there when it moves back', async (t) => {
  const { ask, put, running, scheduler } = openFull(2)
  put({ key: 'alice', slots: 2, machine: 'http://elsewhere' })
  const elsewhere = [ask('a'), ask('a')]
  put({ key: 'alice', slots: 2, machine: 'http://alice' })
  const waiting = ask('a')
  t.equal(waiting.grants, 0)
  t.equal(scheduler.runningOn('alice'), 2)
  for (const { grant } of elsewhere) grant!.release()
  t.equal(waiting.grants, 0)
  running[0]!.release()
  t.equal(waiting.grants, 1)
})

t.test('who shared the server that it leaves may use no more of it than is there', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'large', machine: 'shared', slots: 4 }, { key: 'b', machine: 'shared', slots: 3 })
  put({ key: 'c', machine: 'shared', slots: 3 })
  set('b')
  for (let time = 0; time < 3; time++) t.equal(ask().grants, 1)
  set('c')
  put({ key: 'large', machine: 'elsewhere', slots: 4 })
  t.equal(ask().grants, 0, 'three are taken, and three are the most that any of the two takes')
})

t.test('a participant that leaves and comes back finds what still runs', async (t) => {
  const { ask, put, set, running, scheduler } = openFull(2)
  scheduler.removeSeat('alice')
  t.equal(scheduler.runningOn('alice'), 0)
  put({ key: 'alice', slots: 2 })
  set('alice')
  const waiting = ask('a')
  t.equal(waiting.grants, 0)
  running[0]!.release()
  t.equal(waiting.grants, 1)
})

t.test('it is told when a participant becomes busy, and when it is not any more', async (t) => {
  const told: string[] = []
  const { ask, put, set, scheduler } = openTable({ onBusy: (key, isBusy) => void told.push(`${key} ${isBusy}`) })
  put({ key: 'alice', slots: 2 })
  set('alice')
  const running = [ask().grant!, ask().grant!]
  running[0]!.release()
  t.strictSame(told.splice(0), ['alice true', 'alice false'])
  ask()
  put({ key: 'alice', slots: 3 })
  put({ key: 'alice', slots: 2 })
  put({ key: 'alice', slots: 2, closed: 'paused' })
  t.strictSame(told.splice(0), ['alice true', 'alice false', 'alice true', 'alice false'])
  put({ key: 'alice', slots: 2 })
  put({ key: 'alice', slots: 2, machine: 'http://elsewhere' })
  t.strictSame(told.splice(0), ['alice true', 'alice false'], 'where it is now it is free')
  running[1]!.release()
  t.strictSame(told, [])
  t.equal(scheduler.isBusy('alice'), false)
  t.equal(scheduler.isBusy('nobody'), false)
})

// --- clocks

t.test('a clock that jumps loses no request, and no slot', async (t) => {
  const { ask, told, running, scheduler } = openFull(3)
  const waiting = Array.from({ length: 60 }, (_, index) => ask(`client ${index % 5}`))
  const jumps = [1e3, -5e3, 1e12, 0, -1e15, 1e15, Number.MAX_SAFE_INTEGER, 17, -17]
  const [grants, released] = [new Set(running), new Set<Grant>()]
  for (let step = 0; step < 100; step++) {
    told.now = jumps[step % jumps.length]!
    const [oldest] = grants
    oldest?.release()
    for (const { grant } of waiting) if (grant !== undefined) grants.add(grant)
    if (oldest !== undefined) released.add(oldest)
    for (const grant of released) grants.delete(grant)
  }
  t.strictSame(counts(waiting), { granted: 60, refused: 0, twice: 0 })
  t.equal(scheduler.runningOn('alice'), 0)
})

t.test('who is served while the clock is set back has used no less than nothing', async (t) => {
  const { ask, told, running } = openFull()
  told.now = 100_000
  running[0]!.release()
  const long = ask('long').grant!
  const [again, fresh] = [ask('long'), ask('fresh')]
  told.now += 60_000
  long.release()
  t.equal(fresh.grants, 1)
  told.now -= 3_600_000
  fresh.grant!.release()
  const next = ask('fresh')
  t.equal(again.grants, 1)
  again.grant!.release()
  t.equal(next.grants, 1)
})

t.test('participants of one server are settled together, however many they are', async (t) => {
  for (const count of [10, 1000]) {
    let looks = 0
    const scheduler = createScheduler({
      now: () => 0,
      speedOf: () => {
        looks += 1
        return {}
      },
    })
    const kind = scheduler.addKind('room')
    const seats = Array.from({ length: count }, (_, index) => ({ key: `p${index}`, machine: 'one', slots: 4 }))
    scheduler.putSeats(seats)
    kind.set(seats.map(({ key }) => ({ key, model: MODEL })))
    looks = 0
    scheduler.putSeats(seats.map((seat) => ({ ...seat, slots: 5 })))
    t.ok(looks <= 2 * count, `${looks} looks at ${count} participants`)
  }
})

// --- what it says of itself

t.test('whether anybody is free, and whether anybody waits', async (t) => {
  const { ask, kind, put, set } = openTable()
  put({ key: 'alice' }, { key: 'bob' }, { key: 'carol', closed: 'paused' })
  set('alice', 'bob', 'carol')
  ask()
  t.equal(kind.isFull, false)
  ask()
  t.equal(kind.isFull, true)
  t.equal(kind.isIdle, true)
  ask()
  t.equal(kind.isIdle, false)
})

t.test('who is unknown can take no place', async (t) => {
  const { ask, put, set, kind } = openTable()
  set('alice')
  t.equal(kind.isFull, true)
  const waiting = ask()
  put({ key: 'alice' })
  t.equal(waiting.grants, 0)
  set('alice')
  t.equal(waiting.grants, 1)
})
