/** The load generator, a process of its own. */
import { answerCalls } from '../rpc.ts'
import { abortRequests } from './aborts.ts'
import { Fleet, type Plan, type RunOptions, type RunResult } from './fleet.ts'

let fleet: Fleet | undefined

const api = {
  /** Connects; what a connection costs is not part of what is measured. */
  async open(plan: Plan): Promise<void> {
    fleet = new Fleet(plan)
    await fleet.open()
    // The server's side of each is set up by the first request.
    await fleet.run({ requests: plan.wish.kind === 'plain' ? plan.connections : 0 })
  },
  async run(options: RunOptions): Promise<RunResult> {
    if (fleet === undefined) throw new Error('Nothing is open')
    return fleet.run(options)
  },
  close(): void {
    fleet?.close()
    fleet = undefined
  },
  abort: abortRequests,
}

export type LoadApi = typeof api

answerCalls(api)
