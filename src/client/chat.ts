import { HubUnreachable, ParticipantError, reasonOf } from './errors.ts'
import { bytesOf, type HttpOptions, parse, readText, refusalOf, send, sentenceIn } from './http.ts'

export interface ChatRequest {
  /** @default `*`, whoever is free */
  model?: string
  messages: readonly { role: string; content: string }[]
  /** The room's password, or a key or token of one's own. */
  credential?: string | undefined
  signal?: AbortSignal | undefined
}

export interface ChatAnswer {
  /** Pieces of the answer as they come. @throws Error where the answer breaks off */
  text: AsyncGenerator<string, void, void>
  /** Id of who gives it. */
  participant: string | undefined
  /** What the participant calls the model. */
  model: string | undefined
  /** What the participant counted; there once the answer has ended, where it told. */
  usage(): { inputTokens: number; outputTokens: number } | undefined
}

interface Chunk {
  choices?: { delta?: { content?: unknown } }[]
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown } | null
  error?: { message?: unknown } | string
}

/** One line of an event stream; a participant that sends more in one is hostile or broken. */
const MAX_LINE = 4 * 1024 * 1024

export async function chat(options: HttpOptions, code: string, request: ChatRequest): Promise<ChatAnswer> {
  const { model = '*', messages, credential, signal } = request
  const body = { model, messages, stream: true, stream_options: { include_usage: true } }
  const path = `/rooms/${encodeURIComponent(code)}/v1/chat/completions`
  const response = await send(options, { method: 'POST', path, body, credential, signal })
  const participant = response.headers.get('x-potluck-participant') ?? undefined
  if (!response.ok) {
    const body = parse(await readText(options, response))
    // Only on an answer of a participant's does the hub say whose it is.
    if (participant !== undefined) throw new ParticipantError(participant, response.status, sentenceIn(body))
    throw refusalOf(options, response, body)
  }
  let usage: ReturnType<ChatAnswer['usage']>
  const text = piecesOf(options, response, (told) => {
    usage = told
  })
  return {
    text,
    participant,
    model: response.headers.get('x-potluck-model') ?? undefined,
    usage: () => usage,
  }
}

type Usage = NonNullable<ReturnType<ChatAnswer['usage']>>

async function* piecesOf(options: HttpOptions, response: Response, onUsage: (usage: Usage) => void) {
  for await (const data of dataOf(options, response)) {
    if (data === '[DONE]') return
    const chunk = (parse(data) ?? {}) as Chunk
    if (chunk.error !== undefined) throw new Error(sentenceOf(chunk.error))
    const usage = usageOf(chunk)
    if (usage !== undefined) onUsage(usage)
    const content = chunk.choices?.[0]?.delta?.content
    if (typeof content === 'string' && content !== '') yield content
  }
}

function sentenceOf(error: NonNullable<Chunk['error']>): string {
  const message = typeof error === 'string' ? error : error.message
  return typeof message === 'string' ? message : 'The answer broke off'
}

function usageOf({ usage }: Chunk): Usage | undefined {
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage ?? {}
  return typeof inputTokens === 'number' && typeof outputTokens === 'number' ? { inputTokens, outputTokens } : undefined
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as OpenAI's streams use it: lines of data. */
async function* dataOf({ url }: HttpOptions, response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const bytes of bytesOf(response)) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split(/\r?\n/)
      rest = lines.pop() ?? ''
      for (const line of lines) if (line.startsWith('data:')) yield line.slice(5).trim()
      if (rest.length > MAX_LINE) throw new Error('The answer has a line without an end')
    }
  } catch (error) {
    if ((error as Error).name === 'AbortError' || !(error instanceof TypeError)) throw error
    throw new HubUnreachable(url, reasonOf(error), { cause: error })
  }
}
