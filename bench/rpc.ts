/** Calls between the bench and its helper processes, over the channel that Node gives a parent and its child. */
import type { ChildProcess } from 'node:child_process'

interface Call {
  readonly call: number
  readonly method: string
  readonly argument: unknown
}

interface Reply {
  readonly call: number
  readonly result?: unknown
  readonly error?: string
}

/** What a helper can do: each operation takes one argument, which, like the result, must survive JSON. */
export type Api<T> = { readonly [K in keyof T]: (argument: never) => unknown }

export type Remote<T> = {
  readonly [K in keyof T]: T[K] extends (argument: infer A) => infer R
    ? (...argument: unknown extends A ? [] : [A]) => Promise<Awaited<R>>
    : never
}

/** The helper's side; it ends with its parent. */
export function answerCalls<T extends Api<T>>(api: T): void {
  const operations = api as Record<string, (argument: never) => unknown>
  process.on('message', async ({ call, method, argument }: Call) => {
    process.send?.(await replyTo(call, () => operations[method]?.(argument as never)))
  })
  process.once('disconnect', () => process.exit())
}

async function replyTo(call: number, run: () => unknown): Promise<Reply> {
  try {
    return { call, result: await run() }
  } catch (error) {
    return { call, error: (error as Error).message }
  }
}

/** The parent's side. */
export function remote<T>(child: ChildProcess): Remote<T> {
  const waiting = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  let calls = 0
  child.on('message', ({ call, result, error }: Reply) => {
    const { resolve, reject } = waiting.get(call) ?? {}
    waiting.delete(call)
    if (error === undefined) resolve?.(result)
    else reject?.(new Error(error))
  })
  child.once('exit', () => {
    for (const { reject } of waiting.values()) reject(new Error('A helper process of the bench has ended'))
  })
  const invoke = (method: string) => (argument: unknown) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    waiting.set(++calls, { resolve, reject })
    child.send({ call: calls, method, argument } satisfies Call, (error) => {
      if (error !== null) reject(error)
    })
    return promise
  }
  // A promise is asked for its `then`: this is none.
  return new Proxy({}, { get: (_, method) => (method === 'then' ? undefined : invoke(String(method))) }) as Remote<T>
}
