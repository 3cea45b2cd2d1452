import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import {
  type Affinity,
  BLOCK_BYTES,
  createAffinity,
  MAX_BLOCKS,
  MAX_CHAINS,
  MAX_LINKS,
  MAX_MACHINES,
  NO_PREFIX,
  type Prefix,
} from '../../plugins/ollama-proxy/choosing/affinity.ts'
import { holds } from '../support/property.ts'

/** A block for each letter. */
function text(letters: string): Buffer {
  return Buffer.concat(Array.from(letters, (letter) => Buffer.alloc(BLOCK_BYTES, letter)))
}

function open() {
  const affinity = createAffinity()
  const prefix = (letters: string, cacheKey?: string) => affinity.prefixOf([text(letters)], cacheKey)
  const warm = (machine: string, letters: string, cacheKey?: string) =>
    affinity.warmBytes(machine, prefix(letters, cacheKey)) / BLOCK_BYTES
  const note = (machine: string, letters: string, slots = 4, cacheKey?: string) =>
    affinity.note(machine, prefix(letters, cacheKey), slots)
  const warmest = (letters: string) => [...affinity.warmest(prefix(letters))]
  return { affinity, prefix, warm, note, warmest }
}

t.test('a prompt that was read is warm as far as its blocks are whole', async (t) => {
  const { affinity, note } = open()
  note('m', 'abc')
  const longer = Buffer.concat([text('abc'), Buffer.alloc(BLOCK_BYTES - 1, 'd')])
  t.equal(affinity.warmBytes('m', affinity.prefixOf([longer])), 3 * BLOCK_BYTES)
  t.equal(affinity.prefixOf([longer]).bytes, 4 * BLOCK_BYTES - 1)
  t.equal(affinity.warmBytes('other', affinity.prefixOf([longer])), 0)
  t.equal(affinity.warmBytes('m', NO_PREFIX), 0)
})

t.test('what two prompts share is warm, up to their first difference', async (t) => {
  const { note, warm } = open()
  note('m', 'system one')
  t.equal(warm('m', 'system two'), 'system '.length)
  t.equal(warm('m', 'sYstem one'), 1)
  t.equal(warm('m', 'another'), 0)
  t.equal(warm('m', 'ystem one'), 0, 'what stands elsewhere is something else')
})

t.test('a prompt in pieces is the prompt as a whole', async (t) => {
  const whole = fc.uint8Array({ maxLength: 6 * BLOCK_BYTES })
  const cuts = fc.array(fc.nat({ max: 6 * BLOCK_BYTES }), { maxLength: 6 })
  const affinity = createAffinity()
  const property = fc.property(whole, cuts, (bytes, places) => {
    const at = [0, ...places.filter((place) => place < bytes.length).sort((one, other) => one - other), bytes.length]
    const pieces = at.slice(1).map((end, index) => bytes.subarray(at[index], end))
    assert.deepEqual(affinity.prefixOf(pieces), affinity.prefixOf([bytes]))
  })
  holds(t, 'pieces', property, 2000)
})

t.test('a difference too short for a block of its own is seen, whichever piece it is in', async (t) => {
  const { affinity } = open()
  const after = text('shared')
  affinity.note('m', affinity.prefixOf([Buffer.from('I am Alice. '), after]), 1)
  t.equal(affinity.warmBytes('m', affinity.prefixOf([Buffer.from('I am Bob.   '), after])), 0)
  t.equal(affinity.warmBytes('m', affinity.prefixOf([Buffer.from('I am Alice. '), after])), 6 * BLOCK_BYTES)
})

/** What an affinity is meant to be: each machine's prompts, oldest first, compared one by one. */
function createReference() {
  const read = new Map<string, string[]>()
  const shared = (one: string, other: string) => {
    let length = 0
    while (length < Math.min(one.length, other.length) && one[length] === other[length]) length += 1
    return length
  }
  return {
    note(machine: string, letters: string, slots: number): void {
      if (letters === '') return
      const others = (read.get(machine) ?? []).filter((before) => !letters.startsWith(before))
      read.set(machine, [...others, letters].slice(-slots))
    },
    warm: (machine: string, letters: string) =>
      Math.max(0, ...(read.get(machine) ?? []).map((before) => shared(before, letters))),
  }
}

t.test('the longest shared beginning counts, of all that is remembered', async (t) => {
  const machines = ['m', 'n', 'o']
  const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 6 })
  const notes = fc.array(
    fc.record({ machine: fc.constantFrom(...machines), read: letters, slots: fc.integer({ min: 1, max: 3 }) }),
    { maxLength: 25 },
  )
  const property = fc.property(notes, fc.array(letters, { minLength: 1, maxLength: 5 }), (script, questions) => {
    const { note, warm, warmest } = open()
    const reference = createReference()
    for (const { machine, read, slots } of script) {
      note(machine, read, slots)
      reference.note(machine, read, slots)
    }
    for (const asked of questions) {
      const expected = machines.map((machine) => reference.warm(machine, asked))
      assert.deepEqual(
        machines.map((machine) => warm(machine, asked)),
        expected,
      )
      const found = warmest(asked).map((machine) => reference.warm(machine, asked))
      const best = expected.filter((length) => length > 0).sort((one, other) => other - one)
      assert.deepEqual(found, best, 'all that have read some of it, those that have read most first')
    }
  })
  holds(t, 'prefixes', property, 3000)
})

t.test('what goes on takes the place of what it goes on from', async (t) => {
  const { note, warm } = open()
  const conversation = 'abcdefghijklmnopqrstuvwxyz'
  note('m', 'Another conversation', 2)
  for (let length = 1; length <= conversation.length; length++) note('m', conversation.slice(0, length), 2)
  t.equal(warm('m', conversation), conversation.length)
  t.equal(warm('m', 'Another conversation'), 'Another conversation'.length, 'it is the second of two')
})

t.test('the same prompt again is one conversation, and the newest', async (t) => {
  const { note, warm } = open()
  for (let time = 0; time < 5; time++) note('m', 'one', 2)
  note('m', 'two', 2)
  note('m', 'one', 2)
  note('m', 'third', 2)
  t.equal(warm('m', 'one'), 3)
  t.equal(warm('m', 'two'), 1, 'a t it shares with the third')
})

t.test('of a branch that is dropped, what others share stays', async (t) => {
  const { note, warm, warmest } = open()
  note('m', 'abcd', 2)
  note('m', 'abxy', 2)
  note('m', 'other', 2)
  t.equal(warm('m', 'abcd'), 2)
  t.equal(warm('m', 'abxy'), 4)
  note('m', 'last', 2)
  t.equal(warm('m', 'abxy'), 0)
  t.strictSame(warmest('abxy'), [])
})

t.test('a machine keeps a conversation a slot, the newest', async (t) => {
  const { note, warm } = open()
  for (const letter of '0123456789') note('m', letter, 6)
  t.strictSame(
    Array.from('0123456789', (letter) => warm('m', letter)),
    [0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
  )
})

t.test('a machine keeps no more than its bound, however many slots it says it has', async (t) => {
  const { affinity } = open()
  const prefixes = Array.from({ length: MAX_CHAINS + 10 }, (_, index) =>
    affinity.prefixOf([Buffer.alloc(BLOCK_BYTES, `${index} `)]),
  )
  for (const prefix of prefixes) affinity.note('m', prefix, Number.MAX_SAFE_INTEGER)
  t.equal(prefixes.filter((prefix) => affinity.warmBytes('m', prefix) > 0).length, MAX_CHAINS)
})

t.test('a prompt is compared up to a bound', async (t) => {
  const { affinity } = open()
  const long = Buffer.alloc((MAX_BLOCKS + 50) * BLOCK_BYTES, 'x')
  const prefix = affinity.prefixOf([long])
  t.equal(prefix.links.length, MAX_BLOCKS)
  t.equal(prefix.bytes, long.length)
  affinity.note('m', prefix, 1)
  t.equal(affinity.warmBytes('m', prefix), MAX_BLOCKS * BLOCK_BYTES)
  t.equal(affinity.prefixOf([long], 'key').links.length, MAX_BLOCKS)
})

t.test('so many machines are remembered, those that served last', async (t) => {
  const { affinity, prefix } = open()
  const one = prefix('a')
  for (let index = 0; index < MAX_MACHINES; index++) affinity.note(`m${index}`, one, 1)
  affinity.note('m0', one, 1)
  affinity.note('one more', one, 1)
  t.ok(affinity.warmBytes('m0', one) > 0, 'it served again')
  t.equal(affinity.warmBytes('m1', one), 0)
  t.ok(affinity.warmBytes('m2', one) > 0)
  t.ok(affinity.warmBytes('one more', one) > 0)
})

t.test('all prompts together take no more than their bound; who was idle longest forgets first', async (t) => {
  const affinity = createAffinity()
  const prompts = Array.from({ length: Math.ceil(MAX_LINKS / MAX_BLOCKS) + 20 }, (_, index) => longPrefix(index))
  for (const [index, prefix] of prompts.entries()) affinity.note(`m${index % 1000}`, prefix, 4)
  const isWarm = prompts.map((prefix, index) => affinity.warmBytes(`m${index % 1000}`, prefix) > 0)
  t.equal(isWarm.filter(Boolean).length, Math.floor(MAX_LINKS / MAX_BLOCKS))
  t.ok(isWarm.slice(-900).every(Boolean))
})

/** As an affinity makes them, without the work. */
function longPrefix(name: number): Prefix {
  return { links: Array.from({ length: MAX_BLOCKS }, (_, at) => `${name} ${at}`), bytes: MAX_BLOCKS * BLOCK_BYTES }
}

t.test('few machines are suggested, whoever else has read it', async (t) => {
  const { note, warmest } = open()
  for (let index = 0; index < 1000; index++) note(`m${index}`, 'system')
  note('conversation', 'system goes on')
  const found = warmest('system goes on, and on')
  t.equal(found[0], 'conversation')
  t.equal(found.length, 8)
  t.equal(new Set(found).size, 8)
})

t.test('a name that the client gave is as good as a block', async (t) => {
  const { affinity, note, warm } = open()
  note('m', '', 1, 'my project')
  t.equal(warm('m', '', 'my project'), 1)
  t.equal(warm('m', 'abc', 'my project'), 1)
  t.equal(affinity.prefixOf([Buffer.from('short')], 'my project').links.length, 1)
  note('m', 'abc', 1, 'my project')
  t.equal(warm('m', 'abcd', 'my project'), 4)
})

t.test('under different names nothing is alike', async (t) => {
  const { note, warm, prefix } = open()
  note('m', 'the same words', 4, 'one')
  t.equal(warm('m', 'the same words', 'other'), 0)
  t.equal(warm('m', 'the same words'), 0)
  const one = new Set(prefix('the same words', 'one').links)
  for (const key of ['other', 'one ', '', undefined])
    t.notOk(prefix('the same words', key).links.some((link) => one.has(link)))
})

t.test('each process has hashes of its own', async (t) => {
  const links = (affinity: Affinity) => affinity.prefixOf([text('abc')], 'key').links
  const one = new Set(links(createAffinity()))
  t.notOk(links(createAffinity()).some((link) => one.has(link)))
})

t.test('what is gone is forgotten', async (t) => {
  const { affinity, note, warm, warmest } = open()
  note('m', 'abc')
  note('m', 'abd')
  note('n', 'ab')
  affinity.forget('m')
  affinity.forget('nobody')
  t.equal(warm('m', 'abc'), 0)
  t.strictSame(warmest('abc'), ['n'])
})

t.test('nothing of the content is kept', async (t) => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const affinity = createAffinity()
  const { prefix, prompt } = readDiary(affinity)
  t.equal(prefix.links.length, 9)
  for (const link of prefix.links) {
    t.equal(Buffer.from(link, 'latin1').length, 20, 'a hash')
    t.notOk(link.includes('diary'))
  }
  t.equal(new Set(prefix.links).size, 9, 'blocks that are alike are not seen to be')
  await new Promise(setImmediate)
  collectGarbage()
  t.equal(prompt.deref(), undefined)
  t.equal(affinity.warmBytes('m', prefix), 9 * BLOCK_BYTES)
})

function readDiary(affinity: Affinity): { prefix: Prefix; prompt: WeakRef<ArrayBufferLike> } {
  const words = 'my diary, 1 May: '
  const prompt = Buffer.alloc(8 * BLOCK_BYTES, words)
  const prefix = affinity.prefixOf([prompt], words)
  affinity.note('m', prefix, 4)
  return { prefix, prompt: new WeakRef(prompt.buffer) }
}

t.test('the same prompt of another room, or for another model, is not warm', (t) => {
  const affinity = createAffinity()
  const prompt = [Buffer.alloc(4 * BLOCK_BYTES, 'soup ')]
  const { links, bytes } = affinity.prefixOf(prompt, 'a key', 'room/model')
  affinity.note('machine', { links, bytes }, 1)
  t.ok(affinity.warmBytes('machine', affinity.prefixOf(prompt, 'a key', 'room/model')) > 0)
  for (const scope of ['other/model', 'room/other', ''])
    t.equal(affinity.warmBytes('machine', affinity.prefixOf(prompt, 'a key', scope)), 0, scope)
  t.end()
})
