import type { Test } from 'tap'
import { backPressure } from './contract/back-pressure.ts'
import { delivery } from './contract/delivery.ts'
import { endings } from './contract/endings.ts'
import { frames } from './contract/frames.ts'
import { gaps } from './contract/gaps.ts'
import { keepAlive } from './contract/keep-alive.ts'
import type { BusDriver, Topic } from './contract/kit.ts'
import { replay } from './contract/replay.ts'

/** What every driver of `EventBus` must do, topic by topic. */
const TOPICS: Record<string, Topic> = {
  frames,
  'who gets what, in which order': delivery,
  replay,
  gaps,
  'readers that are behind': backPressure,
  'keeping alive': keepAlive,
  endings,
}

/** One suite for all drivers: `eventBusContract(t, 'memory', { create: (options) => new MemoryEventBus(…) })`. */
export function eventBusContract(t: Test, name: string, driver: BusDriver): void {
  t.test(`the event bus contract, ${name}`, (t) => {
    for (const [title, topic] of Object.entries(TOPICS)) {
      t.test(title, (t) => {
        topic(t, driver)
        t.end()
      })
    }
    t.end()
  })
}
