import { withoutImpliedTag } from '../../schemas/models.ts'

/** What a model can be asked for, where a server tells. */
export type Ability = 'embed' | 'images' | 'tools' | 'ollama'

export interface ModelKnowledge {
  /** Tokens of prompt and answer together. */
  readonly contextTokens?: number
  readonly isLoaded?: boolean
  /** Of those that the server tells of, which the model has; absent: it tells nothing. */
  readonly abilities?: ReadonlySet<Ability>
  /** It is served by a server that is known to have none of Ollama's own API. */
  readonly isForeign?: true
}

export type ServerKind = 'ollama' | 'llama.cpp' | 'lmstudio' | 'vllm' | 'unknown'

/** What a participant's server tells of itself. */
export interface Knowledge {
  readonly kind: ServerKind
  /** Requests at once. */
  readonly slots?: number
  /** By the models' names without the implied tag; `''` for all of them. */
  readonly models: ReadonlyMap<string, ModelKnowledge>
}

export const NO_KNOWLEDGE: Knowledge = { kind: 'unknown', models: new Map() }

/**
 * Requests at once where the server does not tell, by its kind's documented default: OLLAMA_NUM_PARALLEL
 * (https://docs.ollama.com/faq), vLLM's SchedulerConfig.DEFAULT_MAX_NUM_SEQS, LM Studio's Max Concurrent Predictions
 * (https://lmstudio.ai/docs/app/advanced/parallel-requests). llama.cpp tells.
 */
const USUAL_SLOTS: Partial<Record<ServerKind, number>> = { ollama: 1, vllm: 128, lmstudio: 4 }

/** Servers that are hostile or broken tell anything. */
const MAX_SLOTS = 10_000
const MAX_TOKENS = 100_000_000

/** Models whose details are asked for, one by one, of an Ollama server. */
const MAX_SHOWN = 32

type Told = Record<string, unknown>

/** Asks a server; undefined where it does not answer with a JSON object. */
export type Ask = (path: string, body?: object) => Promise<Told | undefined>

/** Finds out what kind of server it is, and what it can do. @param offered the models that it offers in the room */
export async function learn(ask: Ask, offered: readonly string[]): Promise<Knowledge> {
  const version = await ask('/api/version')
  if (typeof version?.version === 'string') return learnOllama(ask, offered)
  const props = await ask('/props')
  if (isObject(props?.default_generation_settings)) return learnLlamaCpp(props)
  const native = await ask('/api/v0/models')
  if (Array.isArray(native?.data)) return learnLmStudio(offeredOf(native.data, offered))
  const list = await ask('/v1/models')
  return Array.isArray(list?.data) ? learnOpenAi(offeredOf(list.data, offered)) : NO_KNOWLEDGE
}

/** Of all that a server has, what it offers here; the rest would only be kept. */
function offeredOf(list: readonly unknown[], offered: readonly string[]): Told[] {
  const names = new Set(offered.map(withoutImpliedTag))
  return list.filter(isObject).filter((told) => names.has(withoutImpliedTag(textAt(told, 'id'))))
}

function known(kind: ServerKind, models: ReadonlyMap<string, ModelKnowledge>, told?: number): Knowledge {
  const slots = told ?? USUAL_SLOTS[kind]
  return { kind, models, ...(slots === undefined ? {} : { slots }) }
}

const OLLAMA_ABILITIES: Readonly<Record<string, Ability>> = { embedding: 'embed', vision: 'images', tools: 'tools' }

async function learnOllama(ask: Ask, offered: readonly string[]): Promise<Knowledge> {
  const running = await ask('/api/ps')
  const loaded = new Map(
    listOf(running?.models).map((told) => [withoutImpliedTag(textAt(told, 'name')), countAt(told, 'context_length')]),
  )
  const models = new Map<string, ModelKnowledge>()
  for (const name of offered.slice(0, MAX_SHOWN)) {
    const bare = withoutImpliedTag(name)
    const abilities = abilitiesOf(await ask('/api/show', { model: name }), 'capabilities', OLLAMA_ABILITIES)
    // What a model could take is no matter: the server gives it less, and tells how much once it is loaded.
    const contextTokens = loaded.get(bare)
    models.set(bare, {
      isLoaded: loaded.has(bare),
      ...(abilities === undefined ? {} : { abilities }),
      ...(contextTokens === undefined ? {} : { contextTokens }),
    })
  }
  return known('ollama', models)
}

function learnLlamaCpp(props: Told): Knowledge {
  const contextTokens = countAt(props.default_generation_settings as Told, 'n_ctx')
  const slots = countAt(props, 'total_slots', MAX_SLOTS)
  const modalities = isObject(props.modalities) ? props.modalities : undefined
  const caps = isObject(props.chat_template_caps) ? props.chat_template_caps : undefined
  // It has one model and takes any name for it. Whether it embeds it does not tell, so that is left open.
  const abilities = new Set<Ability>(['embed'])
  if (modalities?.vision !== false) abilities.add('images')
  if (caps?.supports_tools !== false) abilities.add('tools')
  const model = { isLoaded: true, abilities, ...(contextTokens === undefined ? {} : { contextTokens }) }
  return known('llama.cpp', new Map([['', model]]), slots)
}

const LMSTUDIO_TYPES: Readonly<Record<string, readonly Ability[]>> = { llm: [], vlm: ['images'], embeddings: ['embed'] }

/** https://lmstudio.ai/docs/developer/rest/endpoints */
function learnLmStudio(list: readonly Told[]): Knowledge {
  const models = new Map<string, ModelKnowledge>()
  for (const told of list) {
    const type = textAt(told, 'type')
    const types = Object.hasOwn(LMSTUDIO_TYPES, type) ? LMSTUDIO_TYPES[type] : undefined
    const contextTokens = countAt(told, 'loaded_context_length')
    const abilities = new Set<Ability>(types)
    if (!Array.isArray(told.capabilities) || told.capabilities.includes('tool_use')) abilities.add('tools')
    models.set(withoutImpliedTag(textAt(told, 'id')), {
      isLoaded: told.state === 'loaded',
      ...(types === undefined ? {} : { abilities }),
      ...(contextTokens === undefined ? {} : { contextTokens }),
    })
  }
  return known('lmstudio', models)
}

/** https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html: `max_model_len` of each model. */
function learnOpenAi(list: readonly Told[]): Knowledge {
  const isVllm = list.some((told) => told.owned_by === 'vllm')
  const models = new Map<string, ModelKnowledge>()
  for (const told of list) {
    const contextTokens = countAt(told, 'max_model_len')
    if (contextTokens !== undefined) models.set(withoutImpliedTag(textAt(told, 'id')), { contextTokens })
  }
  return known(isVllm ? 'vllm' : 'unknown', models)
}

function abilitiesOf(
  told: Told | undefined,
  key: string,
  names: Readonly<Record<string, Ability>>,
): Set<Ability> | undefined {
  const list = told?.[key]
  if (!Array.isArray(list)) return undefined
  return new Set(
    list.flatMap((name) => (typeof name === 'string' && Object.hasOwn(names, name) ? (names[name] ?? []) : [])),
  )
}

function listOf(value: unknown): Told[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function isObject(value: unknown): value is Told {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textAt(told: Told, key: string): string {
  const value = told[key]
  return typeof value === 'string' ? value : ''
}

function countAt(told: Told, key: string, most = MAX_TOKENS): number | undefined {
  const value = told[key]
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= most ? value : undefined
}

/** What a request needs of a model. */
export interface Needs {
  readonly abilities: readonly Ability[]
  /** At least so many; 0: nobody can tell. */
  readonly promptTokens: number
}

export const NO_NEEDS: Needs = { abilities: [], promptTokens: 0 }

/** They say what they are, and Ollama's API is not theirs; of others nobody knows. */
const FOREIGN: ReadonlySet<ServerKind> = new Set(['llama.cpp', 'lmstudio', 'vllm'])

export function modelOf({ kind, models }: Knowledge, name: string): ModelKnowledge {
  const model = models.get(withoutImpliedTag(name)) ?? models.get('') ?? {}
  return FOREIGN.has(kind) ? { ...model, isForeign: true } : model
}

/** @returns what the model lacks, as far as is known */
export function lackOf(model: ModelKnowledge, needs: Needs): Ability | 'context' | undefined {
  const { abilities, contextTokens, isForeign = false } = model
  if (isForeign && needs.abilities.includes('ollama')) return 'ollama'
  if (contextTokens !== undefined && needs.promptTokens > contextTokens) return 'context'
  return abilities === undefined
    ? undefined
    : needs.abilities.find((ability) => ability !== 'ollama' && !abilities.has(ability))
}
