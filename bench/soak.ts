/**
 * Whether a hub comes back to where it was: mixed traffic for ten minutes, whole, streamed, aborted and failing requests,
 * subscribers, participants and rooms that come and go; then memory, sockets, handles and timers are compared with before.
 * Ends with 1 and says so where something has stayed.
 *
 *   npm run soak [-- --seconds 600]
 */
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, killAllOnExit, startHelper } from './children.ts'
import { mebibytes } from './format.ts'
import type { LlmApi } from './llm.ts'
import { script, wholeNumber } from './options.ts'
import { socketCount } from './proc.ts'
import type { Holdings, HubApi } from './soak/hub.ts'
import { DEAD_MODEL, join, makeTraffic, openRoom, type World } from './soak/traffic.ts'

const { seconds } = script('soak', 'Whether a hub comes back to where it was behind mixed traffic; ends with 1 if not.')
  .option(
    '--seconds <number>',
    'of traffic; until the hub has come to rest takes up to two minutes more',
    wholeNumber,
    600,
  )
  .parse()
  .opts<{ seconds: number }>()

/** The same traffic before the first look: code is compiled, histories are full, pools have their size. */
const WARM_UP_SHARE = 0.25

/** Of the fake LLM server: idle connections to it shall be gone when the hub has come to rest. */
const KEEP_ALIVE_MS = 1500

/** A hub that is at rest changes nothing for so long, longer than a participant that failed is left alone; it has until then. */
const CALM_S = 14
const PATIENCE_S = 60

/** What a heap is apart between two looks at the same hub. */
const HEAP_SLACK_BYTES = 3 * 1024 * 1024
/** Memory that is free again is not given back at once, and not always in one piece. */
const RSS_SLACK_BYTES = 40 * 1024 * 1024

/** `v8.queryObjects` is experimental. */
const NODE_OPTIONS = ['--expose-gc', '--disable-warning=ExperimentalWarning']

const hub = startHelper<HubApi>(joinPath(import.meta.dirname, 'soak/hub.ts'), NODE_OPTIONS)

interface Look extends Holdings {
  readonly openSockets: number
  readonly handles: Readonly<Record<string, number>>
}

async function countNow() {
  return { openSockets: socketCount(hub.pid), handles: await hub.api.handles() }
}

/** Waits until nothing changes any more. */
async function lookAtRest(): Promise<Look> {
  console.log(`waiting until the hub is at rest, ${CALM_S} to ${PATIENCE_S} s`)
  let counts = await countNow()
  for (let [calm, waited] = [0, 0]; calm < CALM_S && waited < PATIENCE_S; waited++) {
    await sleep(1000)
    const next = await countNow()
    calm = JSON.stringify(next) === JSON.stringify(counts) ? calm + 1 : 0
    counts = next
  }
  return { ...counts, ...(await hub.api.holdings()) }
}

interface Figure {
  readonly what: string
  readonly before: number
  readonly after: number
  readonly slack: number
  readonly isBytes?: boolean
}

/** @param kind what the counts are of */
function counts(
  kind: string,
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Figure[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.map((name) => ({
    what: `${kind}: ${name}`,
    before: before[name] ?? 0,
    after: after[name] ?? 0,
    slack: 0,
  }))
}

function compare(before: Look, after: Look): Figure[] {
  const { rssBytes, heapBytes, openSockets } = before
  return [
    { what: 'RSS', before: rssBytes, after: after.rssBytes, slack: RSS_SLACK_BYTES, isBytes: true },
    { what: 'heap', before: heapBytes, after: after.heapBytes, slack: HEAP_SLACK_BYTES, isBytes: true },
    { what: 'open sockets', before: openSockets, after: after.openSockets, slack: 0 },
    ...counts('handles', before.handles, after.handles),
    ...counts('objects', before.objects, after.objects),
  ]
}

const shown = ({ isBytes = false }: Figure, value: number) => (isBytes ? mebibytes(value) : String(value))

const hasLeaked = ({ before, after, slack }: Figure) => after - before > slack

function report(figures: readonly Figure[], done: ReadonlyMap<string, number>): void {
  const row = (figure: Figure) => ({
    what: figure.what,
    before: shown(figure, figure.before),
    after: shown(figure, figure.after),
    '': hasLeaked(figure) ? 'LEAKED' : '',
  })
  console.table(Object.fromEntries(done))
  console.table(figures.map(row))
  const leaked = figures.filter(hasLeaked)
  for (const figure of leaked) {
    console.error(
      `${figure.what} leaked: ${shown(figure, figure.after)} after the soak, ${shown(figure, figure.before)} before`,
    )
  }
  if (leaked.length === 0) console.log('The hub is back where it was.')
  process.exitCode = leaked.length > 0 ? 1 : 0
}

async function setUp(): Promise<World> {
  const llmPort = await startHelper<LlmApi>(joinPath(import.meta.dirname, 'llm.ts')).api.listen({
    keepAliveMs: KEEP_ALIVE_MS,
    addresses: ['127.0.0.1'],
  })
  const url = await hub.api.listen()
  const [{ code }, deadPort] = [await openRoom(url), await freePort()]
  await join(url, code, 'llm-1', llmPort)
  await join(url, code, 'dead-1', deadPort, DEAD_MODEL)
  return { url, llmPort, code, deadPort }
}

async function soak(): Promise<void> {
  const world = await setUp()
  console.log(`warming up for ${Math.round(seconds * WARM_UP_SHARE)} s`)
  await makeTraffic(world, seconds * WARM_UP_SHARE)
  const before = await lookAtRest()
  console.log(`soaking for ${Math.round(seconds * (1 - WARM_UP_SHARE))} s`)
  const done = await makeTraffic(world, seconds * (1 - WARM_UP_SHARE))
  report(compare(before, await lookAtRest()), done)
}

killAllOnExit()
await soak().catch((error: Error) => {
  console.error(`The soak failed: ${error.message}`)
  process.exitCode = 1
})
process.exit()
