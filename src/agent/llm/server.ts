import { LIMITS } from '../../../schemas/limits.ts'
import { unusableModels } from '../../../schemas/models.ts'
import { type Headers, isObject, question, type Told } from './question.ts'

export type LlmKind = 'ollama' | 'lmstudio' | 'llama.cpp' | 'vllm' | 'localai' | 'jan' | 'openai'

/** What people call them. */
export const KIND_NAMES: Readonly<Record<LlmKind, string>> = {
  ollama: 'Ollama',
  lmstudio: 'LM Studio',
  'llama.cpp': 'llama.cpp',
  vllm: 'vLLM',
  localai: 'LocalAI',
  jan: 'Jan',
  openai: 'an OpenAI-compatible server',
}

export interface LlmServer {
  /** Base URL without a trailing `/` or `/v1`. */
  readonly url: string
  readonly kind: LlmKind
  /** What it has, in its own order; may be empty. */
  readonly models: readonly string[]
}

export type Look =
  | { kind: 'found'; server: LlmServer }
  /** It wants a key. */
  | { kind: 'locked'; url: string }
  | { kind: 'stranger'; url: string; reason: string }
  | { kind: 'silent'; url: string; reason: string }
  /** The hub itself, which speaks as an LLM server does. */
  | { kind: 'hub'; url: string }

/** Looks at one address: what kind of server answers there, by what it says, never by its port. */
export async function lookAt(url: string, headers: Headers = {}): Promise<Look> {
  const ask = async (path: string) => question(url, path, headers)
  const [openai, tags] = await Promise.all([ask('/v1/models'), ask('/api/tags')])
  if (openai.kind === 'silent' && tags.kind === 'silent') return { kind: 'silent', url, reason: openai.reason }
  const lists = [openai, tags].map((answer) =>
    answer.kind === 'answered' && answer.status === 200 ? answer.body : undefined,
  )
  const [openaiList, tagList] = [listOf(lists[0]?.data), listOf(lists[1]?.models)]
  if (isHub(openaiList) || isHub(tagList)) return { kind: 'hub', url }
  if (openaiList === undefined && tagList === undefined) {
    const statuses = [openai, tags].map((answer) => (answer.kind === 'answered' ? answer.status : 0))
    if (statuses.some((status) => status === 401 || status === 403)) return { kind: 'locked', url }
    return { kind: 'stranger', url, reason: `GET /v1/models answered ${statuses[0] || 'nothing'}` }
  }
  const kind = await kindOf(ask, openaiList ?? [], tagList)
  const models = kind === 'ollama' ? namesOf(tagList ?? [], 'name') : namesOf(openaiList ?? tagList ?? [], 'id', 'name')
  return { kind: 'found', server: { url, kind, models } }
}

type Ask = (path: string) => ReturnType<typeof question>

/** llama.cpp speaks some of Ollama's API too, so it is looked for first. */
async function kindOf(ask: Ask, list: readonly Told[], tags: readonly Told[] | undefined): Promise<LlmKind> {
  const [props, version, native, system] = await Promise.all(
    ['/props', '/api/version', '/api/v0/models', '/system'].map(async (path) => {
      const answer = await ask(path)
      return answer.kind === 'answered' && answer.status === 200 ? answer.body : undefined
    }),
  )
  const isOwnedBy = (owner: string) => list.some(({ owned_by }) => owned_by === owner)
  if (isObject(props?.default_generation_settings) || isOwnedBy('llamacpp')) return 'llama.cpp'
  if (typeof version?.version === 'string' && tags !== undefined) return 'ollama'
  if (Array.isArray(native?.data)) return 'lmstudio'
  if (isOwnedBy('vllm')) return 'vllm'
  if (Array.isArray(system?.backends)) return 'localai'
  return isOwnedBy('jan') ? 'jan' : 'openai'
}

/** A hub's lists say who offers what, under a key that no LLM server has. */
function isHub(list: readonly Told[] | undefined): boolean {
  return list?.some((entry) => isObject(entry.potluck)) === true
}

function listOf(value: unknown): Told[] | undefined {
  return Array.isArray(value) ? value.filter(isObject) : undefined
}

function namesOf(list: readonly Told[], ...keys: string[]): string[] {
  const names = list.map((entry) => keys.map((key) => entry[key]).find((value) => typeof value === 'string'))
  return [...new Set(names.filter((name): name is string => typeof name === 'string' && isUsable(name)))]
}

const CONTROLS = /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/

/** As the hub takes them. */
function isUsable(name: string): boolean {
  return (
    name.trim() !== '' && name.length <= LIMITS.model && !CONTROLS.test(name) && unusableModels([name]) === undefined
  )
}

/** As many as the hub takes of one participant, the first ones first. */
export function withinLimits(models: readonly string[]): string[] {
  const taken: string[] = []
  for (const model of models) {
    if (unusableModels([...taken, model]) !== undefined) break
    taken.push(model)
  }
  return taken
}
