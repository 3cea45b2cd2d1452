import t from 'tap'
import { createMakers, MAX_MADE, MAX_MADE_PER_ROOM } from '../../plugins/ollama-proxy/makers.ts'

t.test('who made something is found, in its own room alone', async (t) => {
  const makers = createMakers()
  makers.note('room', 'resp_1', 'alice')
  t.strictSame(makers.find('room', 'resp_1'), { kind: 'known', key: 'alice' })
  t.equal(makers.find('other', 'resp_1'), undefined)
  t.equal(makers.find('room', 'resp_2'), undefined)
})

t.test('two makers of one name are ambiguous for good, whoever makes it again', async (t) => {
  const makers = createMakers()
  makers.note('room', 'resp_1', 'alice')
  makers.note('room', 'resp_1', 'alice')
  t.match(makers.find('room', 'resp_1'), { kind: 'known' }, 'one who makes it twice is one')
  makers.note('room', 'resp_1', 'bob')
  for (const key of ['alice', 'bob', 'carol']) {
    t.strictSame(makers.find('room', 'resp_1'), { kind: 'ambiguous' })
    makers.note('room', 'resp_1', key)
  }
  t.equal(makers.size, 1)
})

t.test('the same name in two rooms is two', async (t) => {
  const makers = createMakers()
  makers.note('room', 'resp_1', 'alice')
  makers.note('other', 'resp_1', 'bob')
  t.strictSame(makers.find('room', 'resp_1'), { kind: 'known', key: 'alice' })
  t.strictSame(makers.find('other', 'resp_1'), { kind: 'known', key: 'bob' })
  t.equal(makers.size, 2)
})

t.test('a room’s oldest is forgotten first', async (t) => {
  const makers = createMakers()
  for (let count = 0; count <= MAX_MADE_PER_ROOM; count++) makers.note('room', `resp_${count}`, 'alice')
  t.equal(makers.size, MAX_MADE_PER_ROOM)
  t.equal(makers.find('room', 'resp_0'), undefined)
  t.match(makers.find('room', 'resp_1'), { kind: 'known' })
  t.match(makers.find('room', `resp_${MAX_MADE_PER_ROOM}`), { kind: 'known' })
})

t.test('one room that makes a lot makes no other one forget', async (t) => {
  const makers = createMakers()
  makers.note('quiet', 'resp_1', 'alice')
  for (let count = 0; count < 3 * MAX_MADE; count++) makers.note('loud', `resp_${count}`, 'bob')
  t.match(makers.find('quiet', 'resp_1'), { kind: 'known' })
  t.equal(makers.size, MAX_MADE_PER_ROOM + 1)
})

t.test('all rooms together have a bound, and those that made nothing for longest forget first', async (t) => {
  const makers = createMakers()
  const rooms = MAX_MADE / MAX_MADE_PER_ROOM + 2
  for (let room = 0; room < rooms; room++) {
    for (let count = 0; count < MAX_MADE_PER_ROOM; count++) makers.note(`room ${room}`, `resp_${count}`, 'alice')
  }
  t.equal(makers.size, MAX_MADE)
  t.equal(makers.find('room 0', `resp_${MAX_MADE_PER_ROOM - 1}`), undefined)
  t.equal(makers.find('room 1', `resp_${MAX_MADE_PER_ROOM - 1}`), undefined)
  t.match(makers.find('room 2', 'resp_0'), { kind: 'known' })
})

t.test('a room that makes something again is not among those in front', async (t) => {
  const makers = createMakers()
  const rooms = MAX_MADE / MAX_MADE_PER_ROOM
  for (let room = 0; room < rooms; room++) {
    for (let count = 0; count < MAX_MADE_PER_ROOM; count++) makers.note(`room ${room}`, `resp_${count}`, 'alice')
  }
  makers.note('room 0', 'resp_new', 'alice')
  makers.note('one more', 'resp_1', 'alice')
  t.match(makers.find('room 0', 'resp_new'), { kind: 'known' })
  t.match(makers.find('room 0', 'resp_5'), { kind: 'known' })
  t.equal(makers.size, MAX_MADE)
})

t.test('a room that is gone is forgotten', async (t) => {
  const makers = createMakers()
  makers.note('room', 'resp_1', 'alice')
  makers.note('other', 'resp_1', 'alice')
  makers.forgetRoom('room')
  makers.forgetRoom('room')
  makers.forgetRoom('never there')
  t.equal(makers.find('room', 'resp_1'), undefined)
  t.match(makers.find('other', 'resp_1'), { kind: 'known' })
  t.equal(makers.size, 1)
})

t.test('names that mean something to JavaScript are names', async (t) => {
  const makers = createMakers()
  t.equal(makers.find('__proto__', 'constructor'), undefined)
  makers.note('__proto__', 'constructor', 'alice')
  t.strictSame(makers.find('__proto__', 'constructor'), { kind: 'known', key: 'alice' })
})
