import type { Clock } from '../../schemas/clock.ts'
import { OverBudget } from '../../schemas/errors.ts'
import type { PersonalKey } from '../room-store/store.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** What a key has used. Totals are since the hub was started. */
export interface KeyUsage {
  requests: number
  inputTokens: number
  outputTokens: number
  /** Since midnight UTC. */
  tokensToday: number
}

interface Account extends KeyUsage {
  minute: number
  requestsThisMinute: number
  day: number
}

export type Budgets = ReturnType<typeof createBudgets>

/** Counts what the holders of personal keys use, and says no beyond their budgets. */
export function createBudgets({ clock }: { clock: Pick<Clock, 'now'> }) {
  const accounts = new Map<string, Account>()

  function accountOf(keyId: string): Account {
    let account = accounts.get(keyId)
    if (account === undefined) {
      account = {
        requests: 0,
        inputTokens: 0,
        outputTokens: 0,
        tokensToday: 0,
        minute: 0,
        requestsThisMinute: 0,
        day: 0,
      }
      accounts.set(keyId, account)
    }
    turnThePage(account)
    return account
  }

  /** Another minute or day, be it an earlier one because the clock was set: the count begins anew. */
  function turnThePage(account: Account): void {
    const now = clock.now()
    const minute = Math.floor(now / MINUTE_MS)
    const day = Math.floor(now / DAY_MS)
    if (minute !== account.minute) Object.assign(account, { minute, requestsThisMinute: 0 })
    if (day !== account.day) Object.assign(account, { day, tokensToday: 0 })
  }

  function secondsTo(periodMs: number): number {
    return Math.ceil((periodMs - (clock.now() % periodMs)) / 1000)
  }

  return {
    /** Before a request of inference. @throws PTL_OVER_BUDGET */
    begin({
      id,
      name,
      requestsPerMinute = Number.POSITIVE_INFINITY,
      tokensPerDay = Number.POSITIVE_INFINITY,
    }: PersonalKey): void {
      const account = accountOf(id)
      if (account.tokensToday >= tokensPerDay) {
        throw new OverBudget(`The key ${name} has used its ${tokensPerDay} tokens of this day (UTC)`, secondsTo(DAY_MS))
      }
      if (account.requestsThisMinute >= requestsPerMinute) {
        throw new OverBudget(
          `The key ${name} has used its ${requestsPerMinute} requests of this minute`,
          secondsTo(MINUTE_MS),
        )
      }
      account.requestsThisMinute += 1
      account.requests += 1
    },

    charge(keyId: string, { inputTokens, outputTokens }: { inputTokens: number; outputTokens: number }): void {
      // Revoked meanwhile: there is nobody left to charge.
      if (!accounts.has(keyId)) return
      const account = accountOf(keyId)
      account.inputTokens += inputTokens
      account.outputTokens += outputTokens
      account.tokensToday += inputTokens + outputTokens
    },

    usageOf(keyId: string): KeyUsage {
      if (!accounts.has(keyId)) return { requests: 0, inputTokens: 0, outputTokens: 0, tokensToday: 0 }
      const { requests, inputTokens, outputTokens, tokensToday } = accountOf(keyId)
      return { requests, inputTokens, outputTokens, tokensToday }
    },

    /** The key was revoked, or its room was closed. */
    forget(keyId: string): void {
      accounts.delete(keyId)
    },
  }
}
