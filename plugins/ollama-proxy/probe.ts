import type { Dispatcher } from 'undici'
import { askJson } from './ask.ts'
import { reasonOf } from './upstream-errors.ts'

/** Paths that an LLM server answers without doing work, and what their answers are told by. */
const QUESTIONS = [
  { path: '/v1/models', isAnswer: (body: Answer) => Array.isArray(body.data) || Array.isArray(body.models) },
  { path: '/api/tags', isAnswer: (body: Answer) => Array.isArray(body.models) },
] as const

interface Answer {
  data?: unknown
  models?: unknown
}

export interface ProbeTarget {
  origin: string
  basePath: string
}

export type ProbeResult =
  | { kind: 'alive' }
  | { kind: 'unreachable'; reason: string }
  | { kind: 'stranger'; reason: string }

/** Asks an endpoint whether it is an LLM server: OpenAI's list of models, else Ollama's. */
export async function probeEndpoint(
  dispatcher: Dispatcher,
  target: ProbeTarget,
  timeoutMs: number,
): Promise<ProbeResult> {
  const heard: string[] = []
  for (const { path, isAnswer } of QUESTIONS) {
    try {
      const { statusCode, body } = await ask(dispatcher, target, path, timeoutMs)
      // A server that wants a key, or that is still loading its model, is one.
      if (statusCode === 401 || statusCode === 403 || statusCode === 503) return { kind: 'alive' }
      if (statusCode === 200 && body !== undefined && isAnswer(body)) return { kind: 'alive' }
      heard.push(`GET ${path} answered ${statusCode}`)
    } catch (error) {
      return { kind: 'unreachable', reason: reasonOf(error as Error) }
    }
  }
  return { kind: 'stranger', reason: `This is no LLM server: ${heard.join(', ')}` }
}

async function ask(dispatcher: Dispatcher, target: ProbeTarget, path: string, timeoutMs: number) {
  const { statusCode, body } = await askJson(dispatcher, target, { path, timeoutMs })
  return { statusCode, body: body as Answer | undefined }
}
