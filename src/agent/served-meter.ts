import type { ServedRequest, TunnelObserver } from './tunnel/index.ts'

export interface Served {
  /** That were answered so far. */
  readonly requests: number
  /** Of all that run, or of the last one where none does. */
  readonly tokensPerSecond?: number
}

/** Counts what a participant's machine does for the room; the hub's own questions are no work. */
export function createServedMeter(onChange: () => void) {
  const running = new Set<ServedRequest>()
  let requests = 0
  let lastSpeed: number | undefined
  let idle = Promise.withResolvers<void>()
  idle.resolve()

  const observer: TunnelObserver = {
    onStart(request) {
      if (request.isQuestion) return
      if (running.size === 0) idle = Promise.withResolvers()
      running.add(request)
      onChange()
    },
    onEnd(request) {
      if (!running.delete(request)) return
      if (request.outcome === 'done') requests += 1
      lastSpeed = speedOf(request) ?? lastSpeed
      if (running.size === 0) idle.resolve()
      onChange()
    },
  }

  return {
    observer,
    running: () => running.size,
    /** Resolves when nothing runs any more. */
    idle: () => idle.promise,
    served(): Served {
      const speeds = [...running].map(speedOf).filter((speed) => speed !== undefined)
      const speed = speeds.length > 0 ? speeds.reduce((sum, each) => sum + each, 0) : lastSpeed
      return { requests, ...(speed === undefined ? {} : { tokensPerSecond: Math.round(speed * 10) / 10 }) }
    },
  }
}

/** A first token that has just come has no speed yet. */
const SHORTEST_S = 0.05

function speedOf({ outputTokens, firstByteAt, endedAt = performance.now() }: ServedRequest): number | undefined {
  const seconds = (endedAt - (firstByteAt ?? endedAt)) / 1000
  return seconds < SHORTEST_S || outputTokens < 2 ? undefined : outputTokens / seconds
}
