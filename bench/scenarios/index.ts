import type { Scenario } from '../bench.ts'
import { abort } from './abort.ts'
import { burst, oneByOne, paced } from './chunks.ts'
import { concurrent } from './concurrent.ts'
import { events } from './events.ts'
import { firstToken } from './first-token.ts'
import { largeBody } from './large-body.ts'
import { plain } from './plain.ts'
import { start } from './start.ts'
import { tunnelFast, tunnelPaced } from './tunnel.ts'

/** The aborts come late: some parties keep the connections of who went away. */
export const SCENARIOS: readonly Scenario[] = [
  plain,
  burst,
  oneByOne,
  paced,
  firstToken,
  concurrent,
  largeBody,
  tunnelPaced,
  tunnelFast,
  events,
  start,
  abort,
]
