/** Answers as the servers give them, with the fields in their order. Shortened only where a field tells nothing of its form. */

const json = (value: unknown): string => JSON.stringify(value)

const dataOf = (...chunks: readonly unknown[]): string[] => chunks.map((chunk) => `data: ${json(chunk)}\n\n`)

const eventsOf = (...events: readonly { type: string }[]): string[] =>
  events.map((event) => `event: ${event.type}\ndata: ${json(event)}\n\n`)

const linesOf = (...objects: readonly unknown[]): string[] => objects.map((object) => `${json(object)}\n`)

/** What a model might say to be taken for the end of its own answer, or for its usage. */
export const TALK = [
  'data: [DONE]\n\n',
  'event: message_stop\ndata: {"type":"message_stop"}\n\n',
  'event: response.completed\ndata: {"usage":{"input_tokens":999,"output_tokens":999}}\n\n',
  '{"done":true,"prompt_eval_count":999,"eval_count":999,"total_duration":999}\n',
  '"usage":{"prompt_tokens":999,"completion_tokens":999,"input_tokens":999,"output_tokens":999}',
  '{"status":"success"}\n',
  '"timings":{"prompt_n":999,"predicted_n":999}',
].join('')

export interface Usage {
  inputTokens: number
  outputTokens: number
}

export interface PlainAnswer {
  text: string
  usage: Usage
}

export interface StreamedAnswer {
  frames: readonly string[]
  usage: Usage
}

/** Of a stream, the last frame is its own end. */
export interface Answers {
  plain: PlainAnswer
  stream: StreamedAnswer
}

const chunk = (delta: object, finish: string | null = null) => ({
  id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
  object: 'chat.completion.chunk',
  created: 1741570283,
  model: 'gpt-4o-2024-08-06',
  service_tier: 'default',
  system_fingerprint: 'fp_fc9f1d7035',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
})

/** https://platform.openai.com/docs/api-reference/chat/object */
export function openaiChatAnswers(said = 'Soy sauce.'): Answers {
  const usage = {
    prompt_tokens: 1117,
    completion_tokens: 46,
    total_tokens: 1163,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 12, audio_tokens: 0, accepted_prediction_tokens: 0 },
  }
  const message = { role: 'assistant', content: said, refusal: null, annotations: [] }
  const plain = {
    id: 'chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG',
    object: 'chat.completion',
    created: 1741570283,
    model: 'gpt-4o-2024-08-06',
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage,
    service_tier: 'default',
    system_fingerprint: 'fp_fc9f1d7035',
  }
  const chunks = [chunk({ role: 'assistant', content: '' }), chunk({ content: said }), chunk({}, 'stop')].map(
    (one) => ({
      ...one,
      usage: null,
    }),
  )
  const frames = [...dataOf(...chunks, { ...chunk({}), choices: [], usage }), 'data: [DONE]\n\n']
  const told = { inputTokens: 1117, outputTokens: 46 }
  return { plain: { text: json(plain), usage: told }, stream: { frames, usage: told } }
}

/** llama-server: its timings stand beside usage, and alone in a stream for which no usage was asked. */
export function llamaCppChatAnswers(said = 'Soy sauce.'): Answers {
  const timings = {
    cache_n: 19,
    prompt_n: 4,
    prompt_ms: 30.561,
    prompt_per_token_ms: 7.64025,
    prompt_per_second: 130.88577,
    predicted_n: 9,
    predicted_ms: 76.5,
    predicted_per_token_ms: 8.5,
    predicted_per_second: 117.647,
  }
  const usage = { completion_tokens: 9, prompt_tokens: 23, total_tokens: 32 }
  const plain = {
    choices: [{ finish_reason: 'stop', index: 0, message: { role: 'assistant', content: said } }],
    created: 1757141666,
    model: 'gpt-oss',
    system_fingerprint: 'b6387-4fd1242b',
    object: 'chat.completion',
    usage,
    id: 'chatcmpl-7sy7XCyzBmsnhaFFxBhWWXTVPAnDTZ3H',
    timings,
  }
  const last = { ...chunk({}, 'stop'), timings }
  const frames = [
    ...dataOf(chunk({ role: 'assistant', content: null }), chunk({ content: said }), last),
    'data: [DONE]\n\n',
  ]
  const told = { inputTokens: 23, outputTokens: 9 }
  return { plain: { text: json(plain), usage: told }, stream: { frames, usage: told } }
}

/** vLLM: nulls for what it does not tell, and, where it is asked to, usage on every chunk. */
export function vllmChatAnswers(said = 'Soy sauce.'): Answers {
  const usageAt = (tokens: number) => ({ prompt_tokens: 14, total_tokens: 14 + tokens, completion_tokens: tokens })
  const message = { role: 'assistant', content: said, refusal: null, tool_calls: [], reasoning_content: null }
  const plain = {
    id: 'chatcmpl-e1a1f1b2c3',
    object: 'chat.completion',
    created: 1757141666,
    model: 'Qwen/Qwen3-8B',
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop', stop_reason: null, token_ids: null }],
    service_tier: null,
    system_fingerprint: null,
    usage: { ...usageAt(3), prompt_tokens_details: null },
    prompt_logprobs: null,
    prompt_token_ids: null,
    kv_transfer_params: null,
  }
  const chunks = [said, ' Or', ' so.'].map((content, index) => ({ ...chunk({ content }), usage: usageAt(index + 1) }))
  const frames = [...dataOf(...chunks, { ...chunk({}), choices: [], usage: usageAt(3) }), 'data: [DONE]\n\n']
  const told = { inputTokens: 14, outputTokens: 3 }
  return { plain: { text: json(plain), usage: told }, stream: { frames, usage: told } }
}

/** https://platform.openai.com/docs/api-reference/completions/object */
export function completionAnswers(said = ' beans.'): Answers {
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }
  const about = { id: 'cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7', object: 'text_completion', created: 1589478378, model: 'm' }
  const plain = { ...about, choices: [{ text: said, index: 0, logprobs: null, finish_reason: 'length' }], usage }
  const piece = (text: string, finish: string | null) => ({
    ...about,
    choices: [{ text, index: 0, logprobs: null, finish_reason: finish }],
  })
  const frames = [...dataOf(piece(said, null), piece('', 'stop'), { ...about, choices: [], usage }), 'data: [DONE]\n\n']
  const told = { inputTokens: 5, outputTokens: 7 }
  return { plain: { text: json(plain), usage: told }, stream: { frames, usage: told } }
}

/** https://platform.openai.com/docs/api-reference/responses/object */
function responseObject(said: string, id: string, status: string, usage: object | null) {
  const part = { type: 'output_text', text: said, annotations: [] }
  const message = {
    type: 'message',
    id: 'msg_67ccd2bf17f0819081ff3bb2cf6508e6',
    status,
    role: 'assistant',
    content: [part],
  }
  return {
    id,
    object: 'response',
    created_at: 1741476542,
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    max_output_tokens: null,
    model: 'gpt-4.1-2025-04-14',
    output: usage === null ? [] : [message],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: true,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage,
    user: null,
    metadata: {},
  }
}

export const RESPONSE_ID = 'resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b'

export function responsesAnswers(said = 'Soy sauce.', id = RESPONSE_ID): Answers {
  const usage = {
    input_tokens: 36,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 87,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 123,
  }
  const item = { item_id: 'msg_67ccd2bf17f0819081ff3bb2cf6508e6', output_index: 0, content_index: 0 }
  const frames = eventsOf(
    { type: 'response.created', ...{ sequence_number: 0, response: responseObject(said, id, 'in_progress', null) } },
    {
      type: 'response.in_progress',
      ...{ sequence_number: 1, response: responseObject(said, id, 'in_progress', null) },
    },
    { type: 'response.output_text.delta', ...{ sequence_number: 2, ...item, delta: said, logprobs: [] } },
    { type: 'response.output_text.done', ...{ sequence_number: 3, ...item, text: said, logprobs: [] } },
    { type: 'response.completed', ...{ sequence_number: 4, response: responseObject(said, id, 'completed', usage) } },
  )
  const told = { inputTokens: 36, outputTokens: 87 }
  return {
    plain: { text: json(responseObject(said, id, 'completed', usage)), usage: told },
    stream: { frames, usage: told },
  }
}

/** https://docs.anthropic.com/en/docs/build-with-claude/streaming */
export function anthropicAnswers(said = 'Soy sauce.'): Answers {
  const input = { input_tokens: 472, cache_creation_input_tokens: 100, cache_read_input_tokens: 20 }
  const created = { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 0 }
  const usage = { ...input, cache_creation: created, output_tokens: 89, service_tier: 'standard' }
  const message = (content: object[], stop: string | null, counts: object) => ({
    model: 'claude-sonnet-4-5-20250929',
    id: 'msg_013Zva2CMHLNnXjNJJKqJ2EF',
    type: 'message',
    role: 'assistant',
    content,
    stop_reason: stop,
    stop_sequence: null,
    usage: counts,
  })
  const frames = eventsOf(
    { type: 'message_start', ...{ message: message([], null, { ...usage, output_tokens: 2 }) } },
    { type: 'content_block_start', ...{ index: 0, content_block: { type: 'text', text: '' } } },
    { type: 'ping' },
    { type: 'content_block_delta', ...{ index: 0, delta: { type: 'text_delta', text: said } } },
    { type: 'content_block_stop', ...{ index: 0 } },
    {
      type: 'message_delta',
      ...{ delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 89 } },
    },
    { type: 'message_stop' },
  )
  const told = { inputTokens: 592, outputTokens: 89 }
  const plain = json(message([{ type: 'text', text: said }], 'end_turn', usage))
  return { plain: { text: plain, usage: told }, stream: { frames, usage: told } }
}

const OLLAMA_TIMES = {
  total_duration: 4883583458,
  load_duration: 1334875,
  prompt_eval_count: 26,
  prompt_eval_duration: 342546000,
  eval_count: 282,
  eval_duration: 4535599000,
}
const OLLAMA_USAGE = { inputTokens: 26, outputTokens: 282 }

/** https://github.com/ollama/ollama/blob/main/docs/api.md */
export function ollamaChatAnswers(said = 'Soy sauce.'): Answers {
  const about = { model: 'llama3.2', created_at: '2023-08-04T19:22:45.499127Z' }
  const message = (content: string) => ({ role: 'assistant', content })
  const last = { ...about, message: message(''), done: true, done_reason: 'stop', ...OLLAMA_TIMES }
  const frames = linesOf({ ...about, message: message(said), done: false }, last)
  const plain = json({ ...last, message: message(said) })
  return { plain: { text: plain, usage: OLLAMA_USAGE }, stream: { frames, usage: OLLAMA_USAGE } }
}

/** Its last object has the whole conversation as numbers. */
export function ollamaGenerateAnswers(said = 'Soy sauce.', contextTokens = 4000): Answers {
  const about = { model: 'llama3.2', created_at: '2023-08-04T19:22:45.499127Z' }
  const context = Array.from({ length: contextTokens }, (_, index) => 128000 + index)
  const last = { ...about, response: '', done: true, done_reason: 'stop', context, ...OLLAMA_TIMES }
  const frames = linesOf({ ...about, response: said, done: false }, last)
  const plain = json({ ...last, response: said })
  return { plain: { text: plain, usage: OLLAMA_USAGE }, stream: { frames, usage: OLLAMA_USAGE } }
}

const vector = (length: number): number[] => Array.from({ length }, (_, index) => Math.sin(index) / 100)

/** OpenAI and vLLM count behind the vectors, llama.cpp before them. */
export const EMBEDDINGS: Record<'openai' | 'llama.cpp', PlainAnswer> = {
  openai: {
    text: json({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: vector(1536) }],
      model: 'text-embedding-ada-002',
      usage: { prompt_tokens: 8, total_tokens: 8 },
    }),
    usage: { inputTokens: 8, outputTokens: 0 },
  },
  'llama.cpp': {
    text: json({
      model: 'embeddinggemma',
      object: 'list',
      usage: { prompt_tokens: 8, total_tokens: 8 },
      data: [{ embedding: vector(1536), index: 0, object: 'embedding' }],
    }),
    usage: { inputTokens: 8, outputTokens: 0 },
  },
}

export const OLLAMA_EMBED: PlainAnswer = {
  text: json({
    model: 'all-minilm',
    embeddings: [vector(1536)],
    total_duration: 14143917,
    load_duration: 1019500,
    prompt_eval_count: 8,
  }),
  usage: { inputTokens: 8, outputTokens: 0 },
}

/** llama-server's, with its usage in front; vLLM counts in total alone, which tells nothing of input and output. */
export const RANKING: PlainAnswer = {
  text: json({
    model: 'bge-reranker',
    object: 'list',
    usage: { prompt_tokens: 74, total_tokens: 74 },
    results: Array.from({ length: 200 }, (_, index) => ({ index, relevance_score: Math.cos(index) })),
  }),
  usage: { inputTokens: 74, outputTokens: 0 },
}

/** https://platform.openai.com/docs/api-reference/audio/json-object */
export const TRANSCRIPTION: PlainAnswer = {
  text: json({
    text: 'Dinner is ready',
    usage: {
      type: 'tokens',
      input_tokens: 14,
      input_token_details: { text_tokens: 10, audio_tokens: 4 },
      output_tokens: 101,
      total_tokens: 115,
    },
  }),
  usage: { inputTokens: 14, outputTokens: 101 },
}
