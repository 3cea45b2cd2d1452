import type { Child } from '../children.ts'
import type { Target } from '../load/connection.ts'

/** What a party needs to start. */
export interface Stage {
  /** Of the fake LLM server. */
  readonly llmPort: number
  /** Where it answers: each is a server of its own to whoever looks from outside. */
  readonly llmAddresses: readonly string[]
  /** For settings and logs. */
  readonly workFolder: string
  /** Where Potluck's processes write their CPU profiles; absent: none do. */
  readonly profileFolder?: string
}

export interface Party {
  readonly name: string
  /** As the page shows it. */
  readonly title: string
  /** @throws Missing */
  start(stage: Stage): Promise<RunningParty>
}

export interface RunningParty {
  readonly name: string
  readonly title: string
  readonly version: string
  readonly target: Target
  /** Whether it must pass on the server's bytes as they are. */
  readonly isExact: boolean
  /** Of its (first) process; undefined where there is none between client and server. */
  readonly pid?: number
  stop(): Promise<void>
}

/** Of a gateway that is one process with the usual path. */
export function running(
  { name, title }: Party,
  child: Child,
  port: number,
  about: { version: string; isExact?: boolean; path?: string; headers?: Record<string, string> },
): RunningParty {
  const { version, isExact = false, path = '/v1/chat/completions', headers = {} } = about
  return { name, title, version, isExact, target: { port, path, headers }, pid: child.pid, stop: () => child.stop() }
}
