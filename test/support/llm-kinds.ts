import type { Answerer } from './fake-llm.ts'
import { answerPlain } from './fake-llm.ts'

/** What a server tells of itself, by method and path. */
export type Told = Record<string, unknown>

/** Answers questions about itself by the list, requests of inference with a word, and everything else with 404. */
export function tells(told: Told, answer: Answerer = answerPlain('served')): Answerer {
  return (request, response) => {
    const { method, path, body } = request
    if (method === 'POST' && !path.startsWith('/api/show')) return answer(request, response)
    const entry = told[`${method} ${path}`]
    const found = typeof entry === 'function' ? entry(JSON.parse(body.toString() || 'null')) : entry
    response.statusCode = found === undefined ? 404 : 200
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(found ?? { error: 'not found' }))
  }
}

/** @param capabilities by model @param loaded context windows by the models that are loaded */
export function ollama(capabilities: Record<string, readonly string[]>, loaded: Record<string, number> = {}): Told {
  return {
    'GET /api/version': { version: '0.12.6' },
    'GET /api/ps': {
      models: Object.entries(loaded).map(([name, context_length]) => ({ name, model: name, context_length })),
    },
    'POST /api/show': ({ model }: { model: string }) => ({ capabilities: capabilities[model] ?? ['completion'] }),
  }
}

export function llamaCpp(slots: number, contextTokens: number, more: object = {}): Told {
  return {
    'GET /props': { default_generation_settings: { n_ctx: contextTokens }, total_slots: slots, ...more },
  }
}

export function lmStudio(models: readonly object[]): Told {
  return { 'GET /api/v0/models': { object: 'list', data: models } }
}

export function vllm(model: string, contextTokens: number): Told {
  const data = [{ id: model, object: 'model', owned_by: 'vllm', max_model_len: contextTokens }]
  return { 'GET /v1/models': { object: 'list', data } }
}

/** What each kind answers to who looks for LLM servers, with these models. */
export const FINDABLE: Readonly<Record<string, (models: readonly string[]) => Told>> = {
  ollama: (models) => ({
    'GET /api/version': { version: '0.12.6' },
    'GET /api/tags': { models: models.map((name) => ({ name, model: name })) },
    'GET /v1/models': openAiList(models, 'library'),
  }),
  'llama.cpp': (models) => ({
    ...llamaCpp(2, 4096),
    // It speaks some of Ollama's API.
    'GET /api/tags': { models: models.map((name) => ({ name, model: name })) },
    'GET /v1/models': openAiList(models, 'llamacpp'),
  }),
  lmstudio: (models) => ({
    ...lmStudio(models.map((id) => ({ id, object: 'model', type: 'llm', state: 'loaded' }))),
    'GET /v1/models': openAiList(models, 'organization_owner'),
  }),
  vllm: (models) => ({ 'GET /v1/models': openAiList(models, 'vllm') }),
  localai: (models) => ({
    'GET /v1/models': { object: 'list', data: models.map((id) => ({ id, object: 'model' })) },
    'GET /system': { backends: ['llama-cpp'], loaded_models: [] },
  }),
  openai: (models) => ({ 'GET /v1/models': openAiList(models, 'somebody') }),
}

function openAiList(models: readonly string[], owner: string): object {
  return { object: 'list', data: models.map((id) => ({ id, object: 'model', created: 1, owned_by: owner })) }
}
