import type { ServerResponse } from 'node:http'
import type { Answerer, SeenRequest } from './fake-llm.ts'

export interface Order {
  request: SeenRequest
  response: ServerResponse
}

export interface ByHand {
  answerer: Answerer
  /** The next request that has come and was not handed out yet. */
  next(): Promise<Order>
  /** Requests that have come so far. */
  readonly count: number
}

/** Answers nothing by itself: the test takes each request and writes the answer, when and as it likes. */
export function answerByHand(): ByHand {
  const orders: Order[] = []
  const waiting: ((order: Order) => void)[] = []
  let count = 0
  return {
    answerer(request, response) {
      count += 1
      const taker = waiting.shift()
      if (taker === undefined) orders.push({ request, response })
      else taker({ request, response })
    },
    next() {
      const order = orders.shift()
      return order === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(order)
    },
    get count() {
      return count
    },
  }
}
