import type { Test } from 'tap'
import { HEAD_BYTES, TAIL_BYTES } from '../../plugins/ollama-proxy/both-ends.ts'
import type { AnswerEnds, Protocol, Usage } from '../../plugins/ollama-proxy/protocols/protocol.ts'
import type { GenerationConfig } from '../../schemas/participant.ts'
import type { PlainAnswer, StreamedAnswer } from './real-answers.ts'

/** All that a room or a participant can set. */
export const FULL_CONFIG: Required<GenerationConfig> = {
  temperature: 0.5,
  top_p: 0.9,
  max_tokens: 100,
  stop: ['\n', 'END'],
  frequency_penalty: 0.1,
  presence_penalty: -0.2,
  seed: 7,
}

/** The defaults that a request gets which has those fields itself. */
export function defaultsBeside(protocol: Protocol, ...fields: string[]): Record<string, unknown> {
  return Object.fromEntries(protocol.defaultsFor(FULL_CONFIG, (field) => fields.includes(field)))
}

/** As the hub keeps them of an answer that has gone by. */
export function endsOf(text: string): AnswerEnds {
  const bytes = Buffer.from(text)
  return { head: bytes.toString('utf8', 0, HEAD_BYTES), tail: tailOf(text) }
}

function tailOf(text: string): string {
  return Buffer.from(text).subarray(-TAIL_BYTES).toString('utf8')
}

export function usageIn(protocol: Protocol, text: string): Usage | undefined {
  return protocol.readUsage(endsOf(text))
}

/** The same lines as some servers end them (WHATWG EventSource and JSON allow it). */
export function withCrLf(text: string): string {
  return text.replaceAll('\n', '\r\n')
}

export function tellsUsage(t: Test, protocol: Protocol, what: string, answer: PlainAnswer | StreamedAnswer): void {
  const text = 'text' in answer ? answer.text : answer.frames.join('')
  t.strictSame(usageIn(protocol, text), answer.usage, what)
  t.strictSame(usageIn(protocol, withCrLf(text)), answer.usage, `${what}, with CRLF`)
}

/**
 * A stream has ended once its last frame is there, and at no byte before. It is cut at each of the last bytes, and at some of
 * those before them.
 */
export function endsOnlyAtItsEnd(t: Test, protocol: Protocol, frames: readonly string[]): void {
  for (const text of [frames.join(''), withCrLf(frames.join(''))]) {
    const whole = text.trimEnd().length
    const early = cutsOf(whole).filter((length) => protocol.hasEnded(tailOf(text.slice(0, length))))
    t.strictSame(early, [], `not ended before ${whole} of ${text.length}`)
    t.ok(protocol.hasEnded(tailOf(text)), 'ended at its end')
  }
}

const EVERY_BYTE = 400

/** Up to and with the last byte of the last line, without what ends it. */
function cutsOf(length: number): number[] {
  const far = Array.from({ length: 200 }, (_, index) => Math.floor((index * length) / 200))
  const near = Array.from({ length: Math.min(EVERY_BYTE, length) }, (_, index) => length - index)
  return [...new Set([...far, ...near])]
}
