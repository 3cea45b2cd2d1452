import t from 'tap'
import { BLOCK_BYTES, createAffinity, type Prefix } from '../../plugins/ollama-proxy/choosing/affinity.ts'
import { createScheduler, type Grant, type Speed } from '../../plugins/ollama-proxy/choosing/scheduler.ts'
import { openTable, type Request, type Table } from './table.ts'

/** `key reason` of who was chosen at once. */
function chosen({ grant }: Request): string {
  return grant === undefined ? 'nobody' : `${grant.key} ${grant.reason}`
}

/** Alice, Bob and Carol with four slots each, where nothing else is said. */
function openTrio(speeds: Record<string, Speed> = {}): Table {
  const table = openTable()
  table.told.speeds = speeds
  table.put({ key: 'alice', slots: 4 }, { key: 'bob', slots: 4 }, { key: 'carol', slots: 4 })
  table.set('alice', 'bob', 'carol')
  return table
}

function openWarm() {
  const affinity = createAffinity()
  const table = openTable({ affinity })
  table.put({ key: 'alice', slots: 4 }, { key: 'bob', slots: 4 }, { key: 'carol', slots: 4 })
  table.set('alice', 'bob', 'carol')
  const prompt = (blocks: number, word = 'word '): Prefix =>
    affinity.prefixOf([Buffer.alloc(blocks * BLOCK_BYTES, word)])
  return { ...table, affinity, prompt }
}

t.test('whoever has waited longest comes next, where nothing else tells them apart', async (t) => {
  const { ask } = openTrio()
  const found: string[] = []
  for (let time = 0; time < 9; time++) {
    const { grant } = ask()
    found.push(grant!.key)
    t.equal(grant!.reason, 'least-loaded')
    grant!.release()
  }
  t.equal(new Set(found.slice(0, 3)).size, 3)
  t.strictSame(found.slice(3), [...found.slice(0, 3), ...found.slice(0, 3)])
})

t.test('requests at the same time are spread by load, as a share of the slots', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'small', slots: 2 }, { key: 'large', slots: 6 })
  set('small', 'large')
  const found = Array.from({ length: 8 }, () => ask().grant!)
  t.equal(found.filter(({ key }) => key === 'small').length, 2)
  t.equal(found.slice(0, 4).filter(({ key }) => key === 'large').length, 3)
})

t.test('the model that was asked for goes along', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' })
  set({ key: 'alice', model: 'llama3.2:latest' })
  t.equal(ask().grant!.model, 'llama3.2:latest')
})

t.test('who is alone is the only one', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice', slots: 2 }, { key: 'bob' })
  set('alice')
  t.equal(chosen(ask()), 'alice only')
  t.equal(chosen(ask('alice', { owns: new Set(['alice']) })), 'alice only')
  const waiting = ask()
  t.equal(chosen(waiting), 'nobody')
  set('alice')
  t.equal(waiting.grants, 0)
})

t.test('who waited for the only one is told so', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' })
  set('alice')
  const first = ask()
  const waiting = ask()
  first.grant!.release()
  t.equal(chosen(waiting), 'alice only')
})

t.test('a faster one goes first, until it has so much to do that it is no faster', async (t) => {
  const { ask } = openTrio({ alice: { msPerByte: 0.1 }, bob: { msPerByte: 0.0825 }, carol: { msPerByte: 0.09 } })
  const found = Array.from({ length: 6 }, () => chosen(ask()).split(' '))
  t.strictSame(found[0], ['bob', 'fastest'])
  const keys = found.map(([key]) => key)
  t.strictSame(keys.slice(0, 3), ['bob', 'bob', 'carol'], '0.0825 × 1.0625 is less than 0.09, × 1.125 is not')
  t.strictSame(keys.slice(3), ['bob', 'carol', 'bob'])
})

t.test('a slot of a slow one is better than none', async (t) => {
  const { ask, put, set, told } = openTable()
  told.speeds = { slow: { msPerByte: 50 }, quick: { msPerByte: 0.01 } }
  put({ key: 'slow' }, { key: 'quick' })
  set('slow', 'quick')
  t.equal(chosen(ask()), 'quick fastest')
  t.equal(chosen(ask()), 'slow least-loaded')
})

t.test('what is measured meanwhile counts', async (t) => {
  const { ask, told } = openTrio()
  for (const name of ['alice', 'bob', 'carol']) {
    const { grant } = ask()
    told.speeds[name] = { msPerByte: 1 }
    grant!.release()
  }
  told.speeds = { alice: { msPerByte: 5 }, bob: { msPerByte: 5 }, carol: { msPerByte: 0.5 } }
  t.equal(chosen(ask()), 'carol fastest')
})

t.test('a meter that never says the same twice keeps nobody waiting', async (t) => {
  const { ask, put, set } = openTable({ speedOf: () => ({ msPerByte: Math.random() }) })
  put({ key: 'alice', slots: 100 }, { key: 'bob', slots: 100 })
  set('alice', 'bob')
  const found = Array.from({ length: 200 }, () => ask().grants)
  t.ok(found.every((grants) => grants === 1))
})

t.test('who has the model in memory goes before who is faster and less loaded', async (t) => {
  const { ask, set } = openTrio({ alice: { msPerByte: 0.01 } })
  set({ key: 'alice', isLoaded: false }, { key: 'bob', isLoaded: true }, { key: 'carol', isLoaded: false })
  t.strictSame(
    Array.from({ length: 6 }, () => chosen(ask())),
    [...Array(4).fill('bob loaded'), 'alice fastest', 'alice fastest'],
  )
})

t.test('where nobody knows, the model may be in memory; where all have it, that is no reason', async (t) => {
  const { ask, set } = openTrio()
  set({ key: 'alice', isLoaded: false }, 'bob', { key: 'carol', isLoaded: false })
  t.equal(chosen(ask()), 'bob least-loaded')
  set({ key: 'alice', isLoaded: true }, { key: 'bob', isLoaded: true }, { key: 'carol', isLoaded: true })
  t.match(chosen(ask()), /least-loaded$/)
})

t.test('who lacks what is needed is never chosen, nor who is closed', async (t) => {
  const { ask, put, set } = openTrio()
  set({ key: 'alice', isUnable: true }, 'bob', 'carol')
  put({ key: 'bob', slots: 4, closed: 'paused' })
  const found = Array.from({ length: 5 }, () => chosen(ask()))
  t.strictSame(found, [...Array(4).fill('carol least-loaded'), 'nobody'])
})

t.test('the load is that of the server, whoever else uses it', async (t) => {
  const { ask, put, set } = openTable()
  put(
    { key: 'one', machine: 'shared', slots: 4 },
    { key: 'other', machine: 'shared', slots: 4 },
    { key: 'alone', slots: 4 },
  )
  set('one')
  ask()
  ask()
  set('other', 'alone')
  t.strictSame(
    Array.from({ length: 2 }, () => chosen(ask())),
    ['alone least-loaded', 'alone least-loaded'],
  )
})

// --- owners

t.test('an owner gets the own machine, though another is better', async (t) => {
  const { ask } = openTrio({ alice: { msPerByte: 10 } })
  t.equal(chosen(ask('somebody')), 'bob least-loaded')
  t.equal(chosen(ask('alice', { owns: new Set(['alice']) })), 'alice owner')
})

t.test('an owner of several gets the best of them', async (t) => {
  const { ask } = openTrio({ alice: { msPerByte: 10 }, bob: { msPerByte: 5 } })
  const owns = new Set(['alice', 'nobody', 'bob'])
  t.equal(chosen(ask('both', { owns })), 'bob owner')
})

t.test('an owner whose machine is full gets another', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' }, { key: 'bob' })
  set('alice', 'bob')
  const owns = new Set(['alice'])
  t.equal(chosen(ask('alice', { owns })), 'alice owner')
  t.equal(chosen(ask('alice', { owns })), 'bob least-loaded')
})

t.test('an owner comes first where the own machine has a slot again, but nowhere else', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' }, { key: 'bob' })
  set('alice', 'bob')
  const running = [ask('x').grant!, ask('x').grant!]
  const first = ask('early')
  const second = ask('also early')
  const owner = ask('alice', { owns: new Set(['alice']) })
  running.find(({ key }) => key === 'bob')!.release()
  t.equal(chosen(first), 'bob least-loaded')
  running.find(({ key }) => key === 'alice')!.release()
  t.equal(chosen(owner), 'alice owner')
  owner.grant!.release()
  t.equal(chosen(second), 'alice least-loaded')
})

t.test('an owner of a machine that joins while the owner waits comes first there', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'bob' })
  set('bob')
  ask('x')
  const early = ask('early')
  const owner = ask('alice', { owns: new Set(['alice']) })
  put({ key: 'alice' })
  set('bob', 'alice')
  t.equal(chosen(owner), 'alice owner')
  t.equal(early.grants, 0)
})

t.test('where all belong to one, nobody is an owner', async (t) => {
  const { ask, set } = openTrio({ carol: { msPerByte: 0.01 } })
  const owns = new Set(['alice', 'bob', 'carol', 'elsewhere'])
  t.equal(chosen(ask('everybody', { owns })), 'carol fastest')
  set('alice', 'bob')
  t.match(chosen(ask('everybody', { owns })), /least-loaded$/)
  set('alice', 'bob', 'carol', 'dave')
  t.match(chosen(ask('everybody', { owns })), /fastest$/, 'Dave has not joined')
})

t.test('where all belong to one, that one waits like everybody', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' }, { key: 'bob' })
  set('alice', 'bob')
  const running = [ask('x').grant!, ask('x').grant!]
  const early = ask('early')
  const owner = ask('all', { owns: new Set(['alice', 'bob']) })
  running[0]!.release()
  t.match(chosen(early), /least-loaded$/)
  t.equal(owner.grants, 0)
  put({ key: 'carol', closed: 'offline' })
  set('alice', 'bob', 'carol')
  const later = ask('later')
  early.grant!.release()
  t.match(chosen(owner), /owner$/, 'there is one now that is not')
  t.equal(later.grants, 0)
})

t.test('an owner is not put before what the same client asked earlier', async (t) => {
  const { ask, put, set } = openTable()
  put({ key: 'alice' }, { key: 'bob' })
  set('alice', 'bob')
  const running = [ask('x').grant!, ask('x').grant!]
  const first = ask('alice')
  const second = ask('alice', { owns: new Set(['alice']) })
  running.find(({ key }) => key === 'alice')!.release()
  t.equal(first.grants, 1)
  t.equal(second.grants, 0)
})

// --- what is warm

t.test('a conversation goes on where it was, though others have waited longer', async (t) => {
  const { ask, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(8) }).grant!
  t.equal(first.warmBytes, 0)
  first.release()
  for (let blocks = 9; blocks < 14; blocks++) {
    const { grant } = ask('a', { prefix: prompt(blocks) })
    t.equal(grant!.key, first.key)
    t.equal(grant!.reason, 'warm')
    t.equal(grant!.warmBytes, (blocks - 1) * BLOCK_BYTES)
    grant!.release()
  }
  t.not(ask('b', { prefix: prompt(8, 'else ') }).grant!.key, first.key)
})

t.test('what is warm goes before what is loaded and before what is faster', async (t) => {
  const { ask, set, told, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(20) }).grant!
  first.release()
  const [other = '', third = ''] = ['alice', 'bob', 'carol'].filter((key) => key !== first.key)
  told.speeds = { [other]: { msPerByte: 0.05 } }
  set(first.key, { key: other, isLoaded: true }, { key: third, isLoaded: false })
  t.equal(chosen(ask('a', { prefix: prompt(21) })), `${first.key} warm`)
})

t.test('unless it is so slow that to read all anew is quicker elsewhere', async (t) => {
  const { ask, told, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(10) }).grant!
  first.release()
  const others = ['alice', 'bob', 'carol'].filter((key) => key !== first.key)
  told.speeds = Object.fromEntries(others.map((key) => [key, { msPerByte: 0.001 }]))
  // Ten of twenty blocks at 0.1 ms a byte, or twenty at 0.001.
  const { key, reason } = ask('a', { prefix: prompt(20) }).grant!
  t.ok(others.includes(key))
  t.not(reason, 'warm')
})

t.test('unless it is so busy that to read all anew is quicker elsewhere', async (t) => {
  const { ask, set, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(2) }).grant!
  first.release()
  set(first.key)
  for (let slot = 0; slot < 3; slot++) ask('b')
  set('alice', 'bob', 'carol')
  // Two of twenty blocks are warm: with three of four slots taken that is no gain.
  t.not(ask('a', { prefix: prompt(20) }).grant!.key, first.key)
  t.equal(chosen(ask('a', { prefix: prompt(2) })), `${first.key} warm`, 'all of it is')
})

t.test('unless it is full', async (t) => {
  const { ask, set, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(8) }).grant!
  first.release()
  set(first.key)
  for (let slot = 0; slot < 4; slot++) ask('b')
  set('alice', 'bob', 'carol')
  const elsewhere = ask('a', { prefix: prompt(9) }).grant!
  t.not(elsewhere.key, first.key)
  t.equal(elsewhere.reason, 'least-loaded')
  t.equal(chosen(ask('a', { prefix: prompt(10) })), `${elsewhere.key} warm`, 'it is warm there now')
})

t.test('of those where it is warm, the one that has most of it', async (t) => {
  const { ask, affinity, prompt } = openWarm()
  affinity.note('http://alice', prompt(5), 4)
  affinity.note('http://bob', prompt(9), 4)
  affinity.note('http://carol', prompt(7), 4)
  t.equal(chosen(ask('a', { prefix: prompt(10) })), 'bob warm')
})

t.test('a model that is not in memory has left nothing that is warm', async (t) => {
  const { ask, affinity, set, prompt } = openWarm()
  affinity.note('http://alice', prompt(9), 4)
  set({ key: 'alice', isLoaded: false }, 'bob', 'carol')
  t.match(chosen(ask('a', { prefix: prompt(9) })), /least-loaded$/)
})

t.test('the owner goes to the own machine, wherever it is warm', async (t) => {
  const { ask, affinity, prompt } = openWarm()
  affinity.note('http://bob', prompt(9), 4)
  t.equal(chosen(ask('a', { prefix: prompt(9), owns: new Set(['alice']) })), 'alice owner')
})

t.test('what is warm on a server that a participant has left is not warm where it is now', async (t) => {
  const { ask, put, set, prompt } = openWarm()
  put({ key: 'dave', slots: 4 })
  set('dave')
  const running = ask('a', { prefix: prompt(9) }).grant!
  put({ key: 'dave', slots: 4, machine: 'http://elsewhere' })
  set('alice', 'dave')
  const { reason, warmBytes } = ask('a', { prefix: prompt(9) }).grant!
  t.equal(reason, 'least-loaded')
  t.equal(warmBytes, 0)
  running.release()
})

t.test('who waited and is served where it is warm is told so', async (t) => {
  const { ask, set, prompt } = openWarm()
  const first = ask('a', { prefix: prompt(8) }).grant!
  set(first.key, { key: 'dave' })
  for (let slot = 0; slot < 3; slot++) ask('b')
  const [cold, warm] = [ask('c', { prefix: prompt(8, 'else ') }), ask('d', { prefix: prompt(9) })]
  first.release()
  t.equal(cold.grant!.warmBytes, 0)
  cold.grant!.release()
  t.equal(warm.grant!.warmBytes, 8 * BLOCK_BYTES)
})

t.test('who names a server as its own in one room is not its owner in another', (t) => {
  const clock = { now: 0 }
  const scheduler = createScheduler({ now: () => clock.now })
  scheduler.putSeats([
    { key: 'a/alice', machine: 'server', slots: 1 },
    { key: 'b/thief', machine: 'server', slots: 1 },
    { key: 'b/away', machine: 'elsewhere', slots: 1, closed: 'paused' },
  ])
  const [theirs, own] = [scheduler.addKind('a'), scheduler.addKind('b')]
  theirs.set([{ key: 'a/alice', model: 'soup' }])
  own.set([
    { key: 'b/thief', model: 'soup' },
    { key: 'b/away', model: 'soup' },
  ])
  const served: string[] = []
  const grants: Grant[] = []
  const turn = (who: string) => ({
    onGrant: (grant: Grant) => {
      served.push(who)
      grants.push(grant)
    },
    onNobody: () => t.fail('somebody is there'),
  })
  const thief = { client: 'thief', owns: new Set(['b/thief']) }
  own.enter(thief, turn('thief'))
  clock.now += 1000
  for (let more = 0; more < 3; more++) own.enter(thief, turn('thief'))
  theirs.enter({ client: 'guest' }, turn('guest'))
  grants[0]?.release()
  t.strictSame(served, ['thief', 'guest'])
  t.end()
})
