import type Anthropic from '@anthropic-ai/sdk'
import { answerFrames, answerJson, bodyOf, EVENTS, eventFrame } from './client-answers.ts'
import { REAL_MODEL } from './clients.ts'
import type { Answerer } from './fake-llm.ts'

/** Answers of a server that speaks Anthropic's API, as Anthropic's own client types them. */

type Message = Anthropic.Message
type Event = Anthropic.RawMessageStreamEvent

export const MESSAGE_USAGE: Message['usage'] = {
  input_tokens: 9,
  output_tokens: 4,
  cache_creation: null,
  cache_creation_input_tokens: 2,
  cache_read_input_tokens: 30,
  inference_geo: null,
  output_tokens_details: null,
  server_tool_use: null,
  service_tier: 'standard',
  speed: null,
}

/** What was read and what was written to the cache was input as well. */
export const INPUT_TOKENS = 41
export const OUTPUT_TOKENS = 4

export function messageOf(content: Message['content'], more: Partial<Message> = {}): Message {
  return {
    id: 'msg_01',
    type: 'message',
    role: 'assistant',
    model: REAL_MODEL,
    content,
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: content.some(({ type }) => type === 'tool_use') ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: MESSAGE_USAGE,
    ...more,
  }
}

export function textBlock(text: string): Anthropic.TextBlock {
  return { type: 'text', text, citations: null }
}

export const FRIDGE_USE: Anthropic.ToolUseBlock = {
  type: 'tool_use',
  id: 'toolu_01',
  name: 'look_into_fridge',
  input: { shelf: 'top', items: 3 },
  caller: { type: 'direct' },
}

const START: Event = {
  type: 'message_start',
  message: messageOf([], { stop_reason: null, usage: { ...MESSAGE_USAGE, output_tokens: 1 } }),
}
const PING = { type: 'ping' }

function endOf(stop_reason: Anthropic.StopReason): Event[] {
  const usage = {
    output_tokens: OUTPUT_TOKENS,
    input_tokens: null,
    cache_creation_input_tokens: null,
    cache_read_input_tokens: null,
    output_tokens_details: null,
    server_tool_use: null,
  }
  const delta = { stop_reason, stop_sequence: null, container: null, diagnostics: null, stop_details: null }
  return [{ type: 'content_block_stop', index: 0 }, { type: 'message_delta', delta, usage }, { type: 'message_stop' }]
}

function blockFrames(content_block: Anthropic.ContentBlock, deltas: readonly Anthropic.RawContentBlockDelta[]) {
  return [
    eventFrame(START),
    eventFrame({ type: 'content_block_start', index: 0, content_block } as Event),
    eventFrame(PING),
    ...deltas.map((delta) => eventFrame({ type: 'content_block_delta', index: 0, delta } as Event)),
  ]
}

/** A stream's beginning, a delta for each word. */
export function wordFrames(words: readonly string[]): string[] {
  return blockFrames(
    textBlock(''),
    words.map((text) => ({ type: 'text_delta', text })),
  )
}

export function streamedMessage(words: readonly string[]): string[] {
  return [...wordFrames(words), ...endOf('end_turn').map(eventFrame)]
}

/** The tool's name comes first, its input as JSON in pieces. */
export function streamedUse(): string[] {
  const text = JSON.stringify(FRIDGE_USE.input)
  const pieces = [text.slice(0, 7), text.slice(7, 8), text.slice(8)]
  const deltas = pieces.map((partial_json) => ({ type: 'input_json_delta' as const, partial_json }))
  return [...blockFrames({ ...FRIDGE_USE, input: {} }, deltas), ...endOf('tool_use').map(eventFrame)]
}

export const answerMessage = (words: readonly string[]): Answerer => {
  const plain = answerJson(messageOf([textBlock(words.join(''))]))
  const streamed = answerFrames(EVENTS, streamedMessage(words))
  return (request, response) => (bodyOf(request).stream === true ? streamed : plain)(request, response)
}

export function anthropicError(type: string, message: string): object {
  return { type: 'error', error: { type, message }, request_id: 'req_01' }
}
