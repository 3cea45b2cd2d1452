import assert from 'node:assert/strict'

export interface ToldError {
  message: string
  /** Where the shape has them. */
  type?: string
  code?: string | null
}

/** Whose clients read what a path answers. */
export function shapeOf(path: string): 'openai' | 'anthropic' | 'ollama' {
  if (/(^|\/)api(\/|$)/.test(path)) return 'ollama'
  return /\/v1\/messages(\/|$)/.test(path) ? 'anthropic' : 'openai'
}

/** Reads a failure as the clients of this path do; fails on any other shape. */
export function readError(path: string, text: string): ToldError {
  const body = JSON.parse(text) as { error: Record<string, unknown> }
  return { openai: readOpenAi, anthropic: readAnthropic, ollama: readOllama }[shapeOf(path)](body)
}

/** https://platform.openai.com/docs/guides/error-codes */
function readOpenAi(body: { error: Record<string, unknown> }): ToldError {
  assert.deepEqual(Object.keys(body), ['error'])
  assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type'])
  const { message, type, param, code } = body.error
  assert.ok(typeof message === 'string' && typeof type === 'string')
  assert.ok((param === null || typeof param === 'string') && (code === null || typeof code === 'string'))
  return { message, type, code }
}

/** https://docs.anthropic.com/en/api/errors */
function readAnthropic(body: { error: Record<string, unknown> }): ToldError {
  assert.deepEqual(Object.keys(body).sort(), ['error', 'type'])
  assert.deepEqual(Object.keys(body.error).sort(), ['message', 'type'])
  const { message, type } = body.error
  assert.equal((body as { type?: unknown }).type, 'error')
  assert.ok(typeof message === 'string' && typeof type === 'string')
  return { message, type }
}

/** https://github.com/ollama/ollama/blob/main/docs/api.md */
function readOllama(body: { error: unknown }): ToldError {
  assert.deepEqual(Object.keys(body), ['error'])
  assert.equal(typeof body.error, 'string')
  return { message: body.error as string }
}
