import type { LlmApi } from './llm.ts'
import type { LoadApi } from './load/process.ts'
import type { RunningParty, Stage } from './parties/party.ts'
import type { Remote } from './rpc.ts'

/** What a scenario has at hand. */
export interface Bench {
  readonly stage: Stage
  readonly llm: Remote<LlmApi>
  readonly load: Remote<LoadApi>
  /** Those that run; by name. */
  readonly parties: ReadonlyMap<string, RunningParty>
  readonly pairs: number
  /** Few and short samples, to see that everything works: no figures to rely on. */
  readonly isQuick: boolean
  say(text: string): void
}

export interface Scenario {
  readonly name: string
  run(bench: Bench): Promise<Outcome>
}

/** One target, and what was measured. */
export interface Verdict {
  readonly what: string
  readonly target: string
  /** With its interval. */
  readonly measured: string
  /** `none`: there was nothing to measure it with. */
  readonly isMet: boolean | 'none'
}

export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** What a scenario found, as the page shows it. */
export interface Outcome {
  readonly title: string
  /** What was done, in a sentence or two. */
  readonly method: string
  readonly verdicts: readonly Verdict[]
  readonly tables: readonly Table[]
  /** What went wrong, or must be known to read the figures. */
  readonly notes: readonly string[]
}
