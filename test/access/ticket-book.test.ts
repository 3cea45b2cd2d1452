import t from 'tap'
import { createTickets, MAX_TICKETS, TICKET_MS } from '../../plugins/access/tickets.ts'
import { manualClock } from '../support/clock.ts'

const ROOM = { roomId: 'room', passwordHash: 'hash' }

function build() {
  const clock = manualClock()
  return { clock, tickets: createTickets({ clock }) }
}

t.test('no two are alike', async (t) => {
  const { tickets } = build()
  const texts = Array.from({ length: 100 }, () => tickets.issue(ROOM).ticket)
  t.equal(new Set(texts).size, 100)
})

t.test('it is good for its room, with the password that the room had', async (t) => {
  const { tickets } = build()
  const { ticket } = tickets.issue(ROOM)
  t.equal(tickets.isValid(ticket, ROOM), true)
  for (const other of [
    { ...ROOM, roomId: 'other' },
    { ...ROOM, passwordHash: 'other' },
    { ...ROOM, passwordHash: undefined },
  ])
    t.equal(tickets.isValid(ticket, other), false)
  t.equal(tickets.isValid('', ROOM), false)
})

t.test('it ends five minutes after it was given out', async (t) => {
  const { clock, tickets } = build()
  const { ticket, expiresAt } = tickets.issue(ROOM)
  t.equal(expiresAt, clock.now() + TICKET_MS)
  clock.advance(TICKET_MS - 1)
  t.equal(tickets.isValid(ticket, ROOM), true)
  clock.advance(1)
  t.equal(tickets.isValid(ticket, ROOM), false)
})

t.test('as long as one of its streams lives it is good, and five minutes beyond the last', async (t) => {
  const { clock, tickets } = build()
  const { ticket } = tickets.issue(ROOM)
  const [first, second] = [tickets.hold(ticket, ROOM), tickets.hold(ticket, ROOM)]
  clock.advance(2 * TICKET_MS)
  first()
  clock.advance(2 * TICKET_MS)
  t.equal(tickets.isValid(ticket, ROOM), true)
  second()
  clock.advance(TICKET_MS - 1)
  t.equal(tickets.isValid(ticket, ROOM), true)
  clock.advance(1)
  t.equal(tickets.isValid(ticket, ROOM), false)
})

t.test('one that is not good cannot be held', async (t) => {
  const { clock, tickets } = build()
  const { ticket } = tickets.issue(ROOM)
  clock.advance(TICKET_MS)
  tickets.hold(ticket, ROOM)()
  tickets.hold('made up', ROOM)()
  t.equal(tickets.isValid(ticket, ROOM), false)
})

t.test('setting the clock does not matter', async (t) => {
  const { clock, tickets } = build()
  const { ticket } = tickets.issue(ROOM)
  clock.set(clock.now() + 10 * TICKET_MS)
  t.equal(tickets.isValid(ticket, ROOM), true)
  clock.set(0)
  clock.advance(TICKET_MS)
  t.equal(tickets.isValid(ticket, ROOM), false)
})

t.test('no more than so many at once: the oldest go first, those with a stream stay', async (t) => {
  const { tickets } = build()
  const [held, oldest] = [tickets.issue(ROOM).ticket, tickets.issue(ROOM).ticket]
  tickets.hold(held, ROOM)
  const others = Array.from({ length: MAX_TICKETS - 2 }, () => tickets.issue(ROOM).ticket)
  t.equal(tickets.isValid(oldest, ROOM), true)
  const last = tickets.issue(ROOM).ticket
  t.equal(tickets.isValid(oldest, ROOM), false)
  for (const kept of [held, others[0] ?? '', last]) t.equal(tickets.isValid(kept, ROOM), true)
})
