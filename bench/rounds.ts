import type { Bench, Verdict } from './bench.ts'
import { interval, mebibytes, number } from './format.ts'
import { reasonIn } from './install.ts'
import { PARTIES } from './parties/index.ts'
import type { RunningParty } from './parties/party.ts'
import { figures, medianOf, type Sample, takeSample, type Work, warmUp } from './sample.ts'
import { difference, type Estimate, ratio } from './statistics.ts'

export interface Rounds {
  /** In the order of the parties; those that failed are not here. */
  readonly samples: ReadonlyMap<string, Sample[]>
  readonly parties: readonly RunningParty[]
  readonly notes: readonly string[]
}

class Turns {
  readonly samples = new Map<string, Sample[]>()
  readonly notes: string[] = []
  readonly #sizes = new Map<string, number>()
  readonly #bench: Bench
  readonly #work: Work

  constructor(bench: Bench, work: Work) {
    this.#bench = bench
    this.#work = work
  }

  async warmUp(party: RunningParty): Promise<void> {
    this.samples.set(party.name, [])
    await this.#attempt(party, async () => {
      this.#sizes.set(party.name, await warmUp(this.#bench, party, this.#work))
    })
  }

  async take(party: RunningParty): Promise<void> {
    const taken = this.samples.get(party.name)
    if (taken === undefined) return
    const requests = this.#sizes.get(party.name) ?? 1
    await this.#attempt(party, async () => {
      taken.push(await takeSample(this.#bench, party, this.#work, requests))
    })
  }

  /** Who gives a wrong answer is out. */
  async #attempt({ name, title }: RunningParty, run: () => Promise<void>): Promise<void> {
    try {
      await run()
    } catch (error) {
      this.samples.delete(name)
      this.notes.push(`${title} is not compared: ${reasonIn((error as Error).message)}`)
    }
  }
}

/** Everybody takes turns, there and back again (A B C, C B A, …): two parties' samples of one round are a pair. */
export async function takeTurns(bench: Bench, names: readonly string[], work: Work): Promise<Rounds> {
  const parties = [...bench.parties.values()].filter(({ name }) => names.includes(name))
  const turns = new Turns(bench, work)
  for (const party of parties) await turns.warmUp(party)
  for (let round = 0; round < bench.pairs; round++) {
    for (const party of round % 2 === 0 ? parties : parties.toReversed()) await turns.take(party)
  }
  const { samples, notes } = turns
  return { samples, notes, parties: parties.filter(({ name }) => samples.has(name)) }
}

/** A target of the form "so much CPU, at most". */
export interface CpuTarget {
  readonly of: string
  readonly to: string
  /** The upper end of the interval must not be above it; absent: it is reported. */
  readonly atMost?: number
  /** The aim is wanted, not required. */
  readonly isWanted?: boolean
}

const SHORT: Readonly<Record<string, string>> = {
  'potluck-1': 'Potluck',
  'potluck-silent': 'Potluck without log and subscriber',
}

function nameOf(name: string): string {
  return SHORT[name] ?? PARTIES.find((party) => party.name === name)?.title ?? name
}

export function judgeCpu({ samples }: Rounds, targets: readonly CpuTarget[]): Verdict[] {
  return targets.map(({ of, to, atMost, isWanted = false }) => {
    const what = `CPU of ${nameOf(of)} ÷ ${nameOf(to)}`
    const goal = atMost === undefined ? 'reported' : `${isWanted ? 'wanted: ' : ''}≤ ${number(atMost)}`
    const [left, right] = [samples.get(of), samples.get(to)]
    if (left === undefined || right === undefined)
      return { what, target: goal, measured: 'not measured', isMet: 'none' }
    const found = ratio(figures(left, 'cpuUsPerRequest'), figures(right, 'cpuUsPerRequest'))
    return {
      what,
      target: goal,
      measured: interval(found),
      isMet: atMost === undefined ? 'none' : found.high <= atMost,
    }
  })
}

/** What one party adds to another one's time. */
export function added(rounds: Rounds, of: string, to: string, figure: keyof Sample): Estimate | undefined {
  const [left, right] = [rounds.samples.get(of), rounds.samples.get(to)]
  return left === undefined || right === undefined
    ? undefined
    : difference(figures(left, figure), figures(right, figure))
}

/** @param unit what one request is called */
export function tableOf({ samples, parties }: Rounds, unit: string) {
  const columns = ['', `CPU µs per ${unit}`, `${unit}s per second`, 'first byte, median ms', 'p99 ms', 'RSS']
  const rows = parties.map(({ name, title }) => {
    const taken = samples.get(name) ?? []
    const of = (figure: keyof Sample) => medianOf(taken, figure)
    const rss = of('rssBytes')
    const times = [number(of('ttftP50')), number(of('ttftP99'))]
    const memory = Number.isNaN(rss) ? '–' : mebibytes(rss)
    return [title, number(of('cpuUsPerRequest')), number(of('requestsPerSecond')), ...times, memory]
  })
  return { columns, rows }
}
