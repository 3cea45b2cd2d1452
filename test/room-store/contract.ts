import type { Test } from 'tap'
import { capture } from './contract/capture.ts'
import { census } from './contract/census.ts'
import { changes } from './contract/changes.ts'
import { concurrency } from './contract/concurrency.ts'
import { expiry } from './contract/expiry.ts'
import { immutability } from './contract/immutability.ts'
import { joining } from './contract/joining.ts'
import type { StoreDriver, Topic } from './contract/kit.ts'
import { listing } from './contract/listing.ts'
import { liveness } from './contract/liveness.ts'
import { ownership } from './contract/ownership.ts'
import { probes } from './contract/probes.ts'
import { rooms } from './contract/rooms.ts'
import { tunnels } from './contract/tunnels.ts'

/** What every driver of `RoomStore` must do, topic by topic. */
const TOPICS: Record<string, Topic> = {
  rooms,
  'listing rooms': listing,
  'changing and closing rooms': changes,
  'joining and leaving': joining,
  ownership,
  'names that would capture traffic': capture,
  'heartbeats and silence': liveness,
  expiry,
  census,
  probes,
  tunnels,
  'records never change': immutability,
  'every method is one step': concurrency,
}

/** One suite for all drivers: `roomStoreContract(t, 'memory', { create: () => new MemoryRoomStore() })`. */
export function roomStoreContract(t: Test, name: string, driver: StoreDriver): void {
  t.test(`the room store contract, ${name}`, (t) => {
    for (const [title, topic] of Object.entries(TOPICS)) {
      t.test(title, (t) => {
        topic(t, driver)
        t.end()
      })
    }
    t.end()
  })
}
