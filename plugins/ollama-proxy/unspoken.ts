/** Servers are updated: what one did not speak then it may speak now, ms. */
export const HOLDS_MS = 600_000

export interface UnspokenOptions {
  /** Of a monotonic clock, ms. */
  now(): number
}

export type Unspoken = ReturnType<typeof createUnspoken>

/** Paths that a participant's own server said it does not have. As many as the hub has endpoints, for each participant. */
export function createUnspoken({ now }: UnspokenOptions) {
  const since = new Map<string, Map<string, number>>()

  return {
    note(key: string, path: string): void {
      const paths = since.get(key) ?? new Map<string, number>()
      since.set(key, paths.set(path, now()))
    },

    isUnspoken(key: string, path: string): boolean {
      return now() - (since.get(key)?.get(path) ?? Number.NEGATIVE_INFINITY) < HOLDS_MS
    },

    /** Whether anything is known to be unspoken at all. */
    get isEmpty(): boolean {
      return since.size === 0
    },

    /** It is gone, or another server is there. */
    forget(key: string): void {
      since.delete(key)
    },
  }
}

/** RFC 9110 §15.5.5, §15.5.6, §15.6.2. */
const NO_SUCH_PATH: ReadonlySet<number> = new Set([404, 405, 501])

/** Whether an answer of this status may say that the server has no such path. */
export function mayLackPath(statusCode: number): boolean {
  return NO_SUCH_PATH.has(statusCode)
}

/**
 * How servers say it: Ollama (gin) `404 page not found`, llama.cpp `File Not Found`, vLLM (FastAPI) `{"detail":"Not Found"}`,
 * LocalAI `Cannot POST …` or `Resource not found`, OpenAI `Invalid URL`. Other 404s are about what a request names: a model,
 * a response, a file.
 */
const ABOUT_THE_PATH =
  /^\s*$|^\s*(?:404 )?(?:page )?not found\s*$|"(?:file|resource|route|page)? ?not found"|cannot (?:get|post|put|delete) \/|invalid url|unexpected endpoint/i

export function lacksPath(statusCode: number, body: string): boolean {
  return mayLackPath(statusCode) && (statusCode !== 404 || ABOUT_THE_PATH.test(body))
}
