import type { ServerResponse } from 'node:http'
import type OpenAI from 'openai'
import { bodyOf, EVENTS, eventFrame, sendJson } from './client-answers.ts'
import { REAL_MODEL } from './clients.ts'
import type { Answerer, SeenRequest } from './fake-llm.ts'
import { openaiError } from './openai-answers.ts'

/** A participant that knows OpenAI's Responses API, and keeps what it made. */

type Made = OpenAI.Responses.Response
type Asked = OpenAI.Responses.ResponseCreateParams
type Event = OpenAI.Responses.ResponseStreamEvent
type Item = OpenAI.Responses.ResponseOutputItem

export const RESPONSE_USAGE: OpenAI.Responses.ResponseUsage = {
  input_tokens: 11,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 16,
}

function messageOf(id: string, text: string): OpenAI.Responses.ResponseOutputMessage {
  const content = [{ type: 'output_text' as const, text, annotations: [], logprobs: [] }]
  return { id: `msg_${id}`, type: 'message', role: 'assistant', status: 'completed', content }
}

export const FRIDGE_CALL: OpenAI.Responses.ResponseFunctionToolCall = {
  id: 'fc_1',
  type: 'function_call',
  call_id: 'call_1',
  name: 'look_into_fridge',
  arguments: '{"shelf":"top"}',
  status: 'completed',
}

export function responseOf(id: string, output: Item[], more: Partial<Made> = {}): Omit<Made, 'output_text'> {
  return {
    id,
    object: 'response',
    created_at: 1_700_000_000,
    access_programs: null,
    status: 'completed',
    error: null,
    incomplete_details: null,
    instructions: null,
    metadata: {},
    model: REAL_MODEL,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    temperature: 1,
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    usage: RESPONSE_USAGE,
    ...more,
  }
}

type Unnumbered = Event extends infer E ? (E extends Event ? Omit<E, 'sequence_number'> : never) : never

/** The events of a streamed answer, as OpenAI sends them. */
export function responseFrames(id: string, words: readonly string[]): string[] {
  const text = words.join('')
  const item = messageOf(id, text)
  const place = { item_id: item.id, output_index: 0, content_index: 0 }
  const part = item.content[0] as OpenAI.Responses.ResponseOutputText
  const begun = { ...responseOf(id, [], { status: 'in_progress' }), usage: null }
  const events = [
    { type: 'response.created', response: begun },
    { type: 'response.in_progress', response: begun },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...place, part: { ...part, text: '' } },
    ...words.map((delta) => ({ type: 'response.output_text.delta' as const, ...place, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...place, text, logprobs: [] },
    { type: 'response.content_part.done', ...place, part },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: responseOf(id, [item]) },
  ] as readonly Unnumbered[]
  return events.map((event, sequence_number) => eventFrame({ ...event, sequence_number }))
}

export interface KeepingServer {
  answerer: Answerer
  /** Ids of what it has made and still has. */
  readonly kept: string[]
}

interface Kept {
  made: Omit<Made, 'output_text'>
  input: string
}

/** @param name stands in the ids of what it makes, and in what it says */
export function keepResponses(name: string): KeepingServer {
  const all = new Map<string, Kept>()
  let count = 0

  function create(request: SeenRequest, response: ServerResponse): void {
    const asked = bodyOf<Asked>(request)
    const before = asked.previous_response_id
    if (typeof before === 'string' && !all.has(before)) {
      sendJson(response, openaiError(`No response ${before} here`, 'invalid_request_error', 'no_such_response'), 400)
      return
    }
    count += 1
    const id = `resp_${name}${count}`
    const said = before === undefined || before === null ? `${name} says soup` : `${name} goes on from ${before}`
    const status = asked.background === true ? 'in_progress' : 'completed'
    const made = responseOf(id, [messageOf(id, said)], { status, previous_response_id: before ?? null })
    all.set(id, { made, input: String(asked.input) })
    if (asked.stream === true) stream(response, responseFrames(id, said.split(/(?<= )/)))
    else sendJson(response, made)
  }

  function itemsOf({ made, input }: Kept): object {
    const content = [{ type: 'input_text', text: input }]
    const item = { id: `in_${made.id}`, type: 'message', role: 'user', status: 'completed', content }
    return { object: 'list', data: [item], first_id: item.id, last_id: item.id, has_more: false }
  }

  function about(id: string, request: SeenRequest, action: string | undefined, response: ServerResponse): void {
    const kept = all.get(id)
    if (kept === undefined) {
      sendJson(response, openaiError(`Response ${id} is not here`, 'invalid_request_error'), 404)
      return
    }
    if (request.method === 'DELETE') all.delete(id)
    if (action === 'cancel') kept.made = { ...kept.made, status: 'cancelled' }
    if (request.method === 'DELETE') sendJson(response, { id, object: 'response', deleted: true })
    else if (action === 'input_items') sendJson(response, itemsOf(kept))
    else if (request.path.includes('stream=true')) stream(response, responseFrames(id, ['again']))
    else sendJson(response, kept.made)
  }

  return {
    answerer(request, response) {
      const [, id, action] = /^\/v1\/responses\/([^/?]+)(?:\/(\w+))?/.exec(request.path) ?? []
      if (id === undefined) create(request, response)
      else about(id, request, action, response)
    },
    get kept() {
      return [...all.keys()]
    },
  }
}

function stream(response: ServerResponse, frames: readonly string[]): void {
  response.writeHead(200, { 'content-type': EVENTS })
  for (const frame of frames) response.write(frame)
  response.end()
}
