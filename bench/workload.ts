/**
 * What is asked of the fake LLM server, and what it must answer. The prompt itself says what to do, so that it passes through
 * any gateway, and whoever knows the prompt knows the right answer to the byte.
 */
export const MODEL = 'bench-model'

export interface Wish {
  /**
   * `plain` a completion in one piece · `stream` chunks · `count` how many bytes the request had · `never` no answer ·
   * `fail` a 500 · `break` a stream that is cut off after its chunks
   */
  readonly kind: 'plain' | 'stream' | 'count' | 'never' | 'fail' | 'break'
  /** Of a stream. @default 0 */
  readonly chunks?: number
  /** Chunks that are written at once, each by a `write` of its own. @default 1 */
  readonly perTick?: number
  /** Between two ticks, ms; 0: as fast as the event loop turns. @default 0 */
  readonly everyMs?: number
  /** Other than 0: the server remembers when this request's connection was closed. @default 0 */
  readonly id?: number
}

const SPELL = /bench\((\w+),(\d+),(\d+),(\d+),(\d+)\)/

function spell({ kind, chunks = 0, perTick = 1, everyMs = 0, id = 0 }: Wish): string {
  return `bench(${kind},${chunks},${perTick},${everyMs},${id})`
}

/** @param text the beginning of a request's body */
export function readWish(text: string): Required<Wish> {
  const [, kind = 'plain', ...numbers] = SPELL.exec(text) ?? []
  const [chunks = 0, perTick = 1, everyMs = 0, id = 0] = numbers.map(Number)
  return { kind: kind as Wish['kind'], chunks, perTick, everyMs, id }
}

/** What a request holds besides the prompt that says what to do: a short chat. */
const CHAT_BYTES = 700

/** @param paddingBytes of a second message */
export function requestBody(wish: Wish, paddingBytes = CHAT_BYTES): Buffer {
  const messages = [
    { role: 'user', content: spell(wish) },
    { role: 'user', content: 'lorem ipsum '.repeat(Math.ceil(paddingBytes / 12)).slice(0, paddingBytes) },
  ]
  const stream = wish.kind === 'stream' || wish.kind === 'break'
  return Buffer.from(JSON.stringify({ model: MODEL, stream, temperature: 0.7, messages }))
}

const USAGE = { prompt_tokens: 180, completion_tokens: 200, total_tokens: 380 }

function completion(content: string): Buffer {
  const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }]
  const about = { id: 'chatcmpl-bench', object: 'chat.completion', created: 1_700_000_000, model: MODEL }
  return Buffer.from(JSON.stringify({ ...about, choices, usage: USAGE }))
}

function frame(fields: object): string {
  const about = { id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1_700_000_000, model: MODEL }
  return `data: ${JSON.stringify({ ...about, ...fields })}\n\n`
}

function chunkFrame(delta: object, finishReason: string | null): string {
  return frame({ choices: [{ index: 0, delta, finish_reason: finishReason }] })
}

const PLAIN_BYTES = 1024
const CHUNK_BYTES = 180

/** Letters that no JSON encoder escapes, as many as make the whole of the wanted length. */
const filler = (bytes: number, without: string | Buffer) => 'token '.repeat(bytes).slice(0, bytes - without.length)

export const PLAIN_CONTENT = filler(PLAIN_BYTES, completion(''))
const PLAIN = completion(PLAIN_CONTENT)

export const CHUNK_CONTENT = filler(CHUNK_BYTES, chunkFrame({ content: '' }, null))
export const CHUNK = Buffer.from(chunkFrame({ content: CHUNK_CONTENT }, null))

/** How a server ends a stream. */
export const STREAM_END = Buffer.from(
  `${chunkFrame({}, 'stop')}${frame({ choices: [], usage: USAGE })}data: [DONE]\n\n`,
)

/** The whole right answer. @param requestBytes what reaches the server */
export function answerBody({ kind, chunks = 0 }: Wish, requestBytes: number): Buffer {
  if (kind === 'count') return completion(String(requestBytes))
  return kind === 'stream' ? Buffer.concat([...Array<Buffer>(chunks).fill(CHUNK), STREAM_END]) : PLAIN
}

/** Of a right answer, what the model says in it. */
export function answerText({ kind, chunks = 0 }: Wish, requestBytes: number): string {
  if (kind === 'count') return String(requestBytes)
  return kind === 'stream' ? CHUNK_CONTENT.repeat(chunks) : PLAIN_CONTENT
}
