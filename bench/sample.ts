import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from './bench.ts'
import type { RunOptions, RunResult } from './load/fleet.ts'
import type { RunningParty } from './parties/party.ts'
import { cpuMs, rssBytes } from './proc.ts'
import { median, quantile } from './statistics.ts'
import type { Wish } from './workload.ts'

/** The same for every party. */
export interface Work {
  readonly wish: Wish
  readonly connections: number
  readonly paddingBytes?: number
  /** Requests come in multiples of it: the streams that run side by side. @default 1 */
  readonly multiple?: number
  readonly spreadMs?: number
}

/** What a party did within one turn. */
export interface Sample {
  /** Of the party's processes; NaN where there are none. */
  readonly cpuUsPerRequest: number
  readonly requestsPerSecond: number
  readonly ttftP50: number
  readonly ttftP99: number
  readonly rssBytes: number
}

/** Behind the last answer there is still the log to write. */
const AFTERMATH_MS = 50

/** One turn of one party. @throws where any answer is not whole and right */
export async function takeSample({ load }: Bench, party: RunningParty, work: Work, requests: number): Promise<Sample> {
  const { target, isExact, pid } = party
  await load.open({ ...work, target, isExact })
  try {
    const before = cpuOf(pid)
    const result = await load.run(runOptions(work, requests))
    await sleep(AFTERMATH_MS)
    const cpu = cpuOf(pid) - before
    return summary(allRight(result), cpu, pid)
  } finally {
    await load.close()
  }
}

function cpuOf(pid: number | undefined): number {
  return pid === undefined ? Number.NaN : cpuMs(pid)
}

function runOptions({ spreadMs }: Work, requests: number): RunOptions {
  return spreadMs === undefined ? { requests } : { requests, spreadMs }
}

export function allRight(result: RunResult): RunResult {
  const { answers, failures, firstFailure } = result
  if (failures > 0)
    throw new Error(`${failures} of ${answers + failures} answers were wrong, the first: ${firstFailure}`)
  return result
}

function summary({ answers, wallMs, ttftMs }: RunResult, cpu: number, pid: number | undefined): Sample {
  return {
    cpuUsPerRequest: (cpu * 1000) / answers,
    requestsPerSecond: (answers * 1000) / wallMs,
    ttftP50: quantile(ttftMs, 0.5),
    ttftP99: quantile(ttftMs, 0.99),
    rssBytes: pid === undefined ? Number.NaN : rssBytes(pid),
  }
}

/** CPU that a sample should take, so that what the kernel counts coarsely does not matter; and how long it may last. */
const SAMPLE_CPU_MS = 500
const SAMPLE_WALL_MS = 1500
const QUICK_SHARE = 0.3

/** Until the compiler has seen enough, as of a server that has been up for a while; a slow party has until the time is up. */
const WARM_UP_MS = 6000

/** Warms the party up. @returns how many requests make a sample of it */
export async function warmUp(bench: Bench, party: RunningParty, work: Work): Promise<number> {
  const { multiple = 1 } = work
  const share = bench.isQuick ? QUICK_SHARE : 1
  const until = performance.now() + WARM_UP_MS * share
  let requests = Math.max(multiple, work.connections)
  let sample = await takeSample(bench, party, work, requests)
  while (performance.now() < until) {
    requests = sized(sample, multiple, share)
    sample = await takeSample(bench, party, work, requests)
  }
  return sized(sample, multiple, share)
}

function sized({ cpuUsPerRequest, requestsPerSecond }: Sample, multiple: number, share: number): number {
  const byWall = (requestsPerSecond * SAMPLE_WALL_MS * share) / 1000
  const byCpu = (SAMPLE_CPU_MS * share * 1000) / cpuUsPerRequest
  const wanted = Number.isNaN(byCpu) ? byWall : Math.min(byWall, byCpu)
  return Math.max(1, Math.round(wanted / multiple)) * multiple
}

/** Of a party's samples, one figure each. */
export function figures(samples: readonly Sample[], name: keyof Sample): number[] {
  return samples.map((sample) => sample[name])
}

export function medianOf(samples: readonly Sample[], name: keyof Sample): number {
  return median(figures(samples, name))
}
