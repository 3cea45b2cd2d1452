/**
 * Measures what a hub costs, beside other ways through, and writes docs/benchmarks.md. docs/performance.md says how to use it.
 *
 *   npm run bench [-- --parties bare,potluck-1 --scenarios plain --pairs 2]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import type { Bench, Outcome, Scenario } from './bench.ts'
import { killAllOnExit, startHelper } from './children.ts'
import { keepApart } from './cores.ts'
import { reasonIn } from './install.ts'
import type { LlmApi } from './llm.ts'
import type { LoadApi } from './load/process.ts'
import { script, wholeNumber, writableFile } from './options.ts'
import { type Report, render } from './page.ts'
import { PARTIES } from './parties/index.ts'
import type { Party, RunningParty, Stage } from './parties/party.ts'
import { makeWorkFolder, REPOSITORY } from './paths.ts'
import { allRight } from './sample.ts'
import { SCENARIOS } from './scenarios/index.ts'

const PAIRS = 10
const QUICK_PAIRS = 3

/** Of the fake LLM server: longer than anybody's turn, so that no party connects anew within one. */
const KEEP_ALIVE_MS = 120_000

interface Options {
  parties?: readonly Party[]
  scenarios?: readonly Scenario[]
  pairs?: number
  quick?: boolean
  out?: string
  profile?: string
}

const namesOf = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name).join(', ')

const values = script('bench', 'What a hub costs, beside other ways through. A whole run takes half an hour.')
  .option('--parties <names>', `some of: ${namesOf(PARTIES)}; potluck stands for all of its kind`, (names) =>
    chosen(PARTIES, names),
  )
  .option('--scenarios <names>', `some of: ${namesOf(SCENARIOS)}`, (names) => chosen(SCENARIOS, names))
  .option('--pairs <number>', `rounds of each scenario (default: ${PAIRS}, ${QUICK_PAIRS} with --quick)`, wholeNumber)
  .option('--quick', 'for those who change the bench: little of everything')
  .option('--out <file>', 'where to put the page, which any run but a whole one prints', writableFile)
  .option('--profile <folder>', 'keeps the CPU profiles of the hubs there, for `node bench/profile.ts FILE`')
  .parse()
  .opts<Options>()

const say = (text: string) => void process.stderr.write(`${text}\n`)

type Absent = Report['missing'][number]

/** @throws InvalidArgumentError */
function chosen<T extends { readonly name: string }>(all: readonly T[], names: string): readonly T[] {
  const wanted = names.split(',')
  const matches = (name: string, one: string) => name === one || name.startsWith(`${one}-`)
  const unknown = wanted.filter((one) => !all.some(({ name }) => matches(name, one)))
  if (unknown.length > 0)
    throw new InvalidArgumentError(`There is no ${unknown.join(', ')}; there are ${namesOf(all)}.`)
  return all.filter(({ name }) => wanted.some((one) => matches(name, one)))
}

async function startAll(bench: Omit<Bench, 'parties'>, parties: readonly Party[]) {
  const running = new Map<string, RunningParty>()
  const missing: Absent[] = PARTIES.filter((party) => !parties.includes(party)).map(({ title }) => ({
    title,
    reason: 'not asked for',
  }))
  for (const party of parties) {
    say(`starting ${party.title}`)
    try {
      running.set(party.name, await startRight(bench, party))
    } catch (error) {
      const reason = reasonIn((error as Error).message)
      say(`missing: ${party.title}: ${reason}`)
      missing.push({ title: party.title, reason })
    }
  }
  return { running, missing }
}

/** Who does not answer one request rightly is not compared. */
async function startRight({ stage, load }: Omit<Bench, 'parties'>, party: Party): Promise<RunningParty> {
  const running = await party.start(stage)
  const { target, isExact } = running
  try {
    await load.open({ target, isExact, wish: { kind: 'plain' }, connections: 1 })
    allRight(await load.run({ requests: 1 }))
  } catch (error) {
    await running.stop()
    throw error
  } finally {
    await load.close()
  }
  return running
}

async function runAll(bench: Bench, scenarios: readonly Scenario[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const scenario of scenarios) {
    const begun = performance.now()
    say(`measuring ${scenario.name}`)
    outcomes.push(await runOne(bench, scenario))
    say(`measured ${scenario.name} in ${((performance.now() - begun) / 1000).toFixed(0)} s`)
  }
  return outcomes
}

/** One that fails takes no other with it, and stands in the page. */
async function runOne(bench: Bench, scenario: Scenario): Promise<Outcome> {
  try {
    return await scenario.run(bench)
  } catch (error) {
    const note = `Could not be measured: ${reasonIn((error as Error).message)}`
    say(`${scenario.name}: ${(error as Error).stack}`)
    return { title: scenario.name, method: '', verdicts: [], tables: [], notes: [note] }
  }
}

function reservation(): string | undefined {
  if (values.quick) return 'A quick run: figures to see that everything works, none to rely on.'
  if (values.profile !== undefined) return 'A run under the profiler: its figures are of no use.'
  if (values.parties !== undefined || values.scenarios !== undefined) return 'A run of a part of the bench.'
  if (values.pairs !== undefined && values.pairs < PAIRS) return 'A run of fewer rounds than a whole one has.'
  return undefined
}

function put(page: string): void {
  const isWhole = reservation() === undefined
  if (values.out === undefined && !isWhole) return void process.stdout.write(page)
  const path = values.out ?? join(REPOSITORY, 'docs/benchmarks.md')
  writeFileSync(path, page)
  say(`written: ${path}`)
}

/** As many as there are participants at most. Linux has all of 127.0.0.0/8 on its loopback interface, others the first one. */
const LLM_ADDRESSES = Array.from({ length: process.platform === 'linux' ? 1000 : 1 }, (_, index) =>
  index === 0 ? '127.0.0.1' : `127.1.${index >> 8}.${index & 255}`,
)

function makeStage(llmPort: number): Stage {
  const stage = { llmPort, llmAddresses: LLM_ADDRESSES, workFolder: makeWorkFolder() }
  if (values.profile === undefined) return stage
  const profileFolder = resolve(values.profile)
  mkdirSync(profileFolder, { recursive: true })
  return { ...stage, profileFolder }
}

const helper = <T>(file: string) => startHelper<T>(join(import.meta.dirname, file))

async function main(): Promise<void> {
  killAllOnExit()
  const { parties = PARTIES, scenarios = SCENARIOS, quick = false } = values
  const pairs = values.pairs ?? (quick ? QUICK_PAIRS : PAIRS)
  const [llmServer, loadServer] = [helper<LlmApi>('llm.ts'), helper<LoadApi>('load/process.ts')]
  const [llm, load] = [llmServer.api, loadServer.api]
  const stage = makeStage(await llm.listen({ keepAliveMs: KEEP_ALIVE_MS, addresses: LLM_ADDRESSES }))
  const base = { stage, llm, load, pairs, isQuick: quick, say }
  const { running, missing } = await startAll(base, parties)
  const isApart = [
    ...[llmServer, loadServer].map(({ pid }) => keepApart(pid, false)),
    ...[...running.values()].map(({ pid }) => keepApart(pid, true)),
  ].every(Boolean)
  if (!isApart) say('everybody runs on whichever core the kernel likes: expect figures that vary')
  const outcomes = await runAll({ ...base, parties: running }, scenarios)
  for (const party of running.values()) await party.stop()
  const doubt = reservation()
  const report = { date: new Date(), pairs, isApart, parties: [...running.values()], missing, outcomes }
  put(render(doubt === undefined ? report : { ...report, reservation: doubt }))
}

await main()
// The helpers are of no use any more.
process.exit()
