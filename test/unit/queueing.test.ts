import t from 'tap'
import { createScheduler } from '../../plugins/ollama-proxy/choosing/scheduler.ts'
import { type TurnOptions, waitForTurn } from '../../plugins/ollama-proxy/queueing.ts'

/** One slot, taken; and room for two of each client who wait. */
function openQueue() {
  const scheduler = createScheduler({ now: () => 0 })
  scheduler.putSeat({ key: 'room/alice', machine: 'alice', slots: 1 })
  const kind = scheduler.addKind('room')
  kind.set([{ key: 'room/alice', model: 'soup' }])
  const counts = new Map<string, number>()
  const leave: (() => void)[] = []
  const wait = (client: string, more: Partial<TurnOptions> = {}) =>
    waitForTurn({
      scheduler,
      counts,
      limits: { length: 10, lengthOfClient: 2, waitMs: 60_000 },
      refusal: async () => new Error('nobody is left'),
      roomId: 'room',
      entry: { kind, model: 'soup', index: 0, groups: 1, able: 1, version: 1, tried: new Set() } as never,
      asker: { client },
      isRetry: false,
      waitedMs: 0,
      onGivenUp(callback) {
        leave.push(() => callback(new Error('gone')))
        return () => {}
      },
      onQueued: () => {},
      ...more,
    })
  wait('somebody')
  return { scheduler, counts, leave, wait }
}

t.test('one client may have so many waiting, and keeps nobody else out', async (t) => {
  const { counts, leave, wait } = openQueue()
  const waiting = [wait('greedy'), wait('greedy')] as Promise<unknown>[]
  t.throws(() => wait('greedy'), { code: 'PTL_QUEUE_FULL', retryAfterS: 5 })
  waiting.push(wait('another') as Promise<unknown>, wait('greedy', { isRetry: true }) as Promise<unknown>)
  for (const go of leave) go()
  for (const { status } of await Promise.allSettled(waiting)) t.equal(status, 'rejected')
  t.equal(counts.size, 0, 'who has left is not counted any more')
})

t.test('a wait that ends while it is found out why nobody is left is counted once', async (t) => {
  const { scheduler, counts, leave, wait } = openQueue()
  const { promise: known, resolve } = Promise.withResolvers<Error>()
  const first = wait('guest', { refusal: () => known }) as Promise<unknown>
  scheduler.removeSeat('room/alice')
  leave[0]?.()
  await t.rejects(first, { message: 'gone' })
  counts.set('room guest', 1)
  resolve(new Error('nobody is left'))
  await known
  await Promise.resolve()
  t.equal(counts.get('room guest'), 1)
})
