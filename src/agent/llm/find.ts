import type { Headers } from './question.ts'
import { type LlmServer, type Look, lookAt } from './server.ts'

/** Where LLM servers listen unless somebody moved them; who listens there is told by what it answers. */
const USUAL_PORTS = {
  11434: 'Ollama',
  1234: 'LM Studio',
  8080: 'llama.cpp, LocalAI',
  8000: 'vLLM',
  1337: 'Jan',
} as const

/** A server may listen on one of them only. */
const LOOPBACKS = ['127.0.0.1', '[::1]'] as const

const OLLAMA_PORT = 11434

export interface Found {
  servers: LlmServer[]
  /** Where it was looked, for people. */
  looked: string[]
  /** Servers that want a key. */
  locked: string[]
}

export interface FindOptions {
  /** Addresses to look at. @default the usual ones of this machine */
  places?: readonly string[]
  env?: NodeJS.ProcessEnv
  /** The owner's credentials for the servers; sent to no place but those named by `places`. */
  headers?: Headers
}

/** All places at once: nothing listens at most of them, which a machine knows at once of itself. */
export async function findServers({ places, env = process.env, headers = {} }: FindOptions = {}): Promise<Found> {
  const looked = places ?? usualPlaces(env)
  const looks = await Promise.all(looked.map((url) => lookAt(url, places === undefined ? {} : headers)))
  return {
    servers: withoutTwins(looks.flatMap((look) => (look.kind === 'found' ? [look.server] : []))),
    looked: places === undefined ? describePlaces(env) : [...looked],
    locked: looks.flatMap((look: Look) => (look.kind === 'locked' ? [look.url] : [])),
  }
}

export function usualPlaces(env: NodeJS.ProcessEnv): string[] {
  const usual = Object.keys(USUAL_PORTS).flatMap((port) => LOOPBACKS.map((host) => `http://${host}:${port}`))
  const own = ollamaHost(env.OLLAMA_HOST)
  return own === undefined ? usual : [...new Set([own, ...usual])]
}

function describePlaces(env: NodeJS.ProcessEnv): string[] {
  const usual = Object.entries(USUAL_PORTS).map(([port, name]) => `localhost:${port} (${name})`)
  const own = ollamaHost(env.OLLAMA_HOST)
  return own === undefined ? usual : [`${own} (OLLAMA_HOST)`, ...usual]
}

/**
 * What OLLAMA_HOST means, by Ollama's own rules (envconfig.Host): a scheme, a port or both may be absent, and an
 * address of all interfaces is one to listen at, not one to call.
 */
export function ollamaHost(value: string | undefined): string | undefined {
  const text = value?.trim().replace(/^["']|["']$/g, '')
  if (text === undefined || text === '') return undefined
  const withScheme = text.includes('://') ? text : `http://${text.startsWith(':') ? `127.0.0.1${text}` : text}`
  if (!URL.canParse(withScheme)) return undefined
  const { protocol, hostname, pathname } = new URL(withScheme)
  if (protocol !== 'http:' && protocol !== 'https:') return undefined
  const usualPort = { 'http:': 80, 'https:': 443 }[protocol]
  // `http://host` is port 80, `host` alone is Ollama's own.
  const port =
    /:(\d+)(?:$|\/)/.exec(withScheme.replace(/^\w+:\/\//, ''))?.[1] ?? (text.includes('://') ? usualPort : OLLAMA_PORT)
  const host = hostname === '0.0.0.0' ? '127.0.0.1' : hostname === '[::]' ? '[::1]' : hostname
  return `${protocol}//${host}:${port}${pathname.replace(/\/+$/, '')}`
}

/** One server that listens on both loopback addresses is one: same port, same kind, same models. */
function withoutTwins(servers: readonly LlmServer[]): LlmServer[] {
  const seen = new Map<string, LlmServer>()
  for (const server of servers) {
    const { port, pathname, hostname } = new URL(server.url)
    const where = LOOPBACKS.some((address) => address === hostname) || hostname === 'localhost' ? '' : hostname
    const key = JSON.stringify([where, port, pathname, server.kind, server.models])
    if (!seen.has(key)) seen.set(key, server)
  }
  return [...seen.values()]
}

/** What somebody typed as an endpoint, as a base URL: with `http://` where that is left out, without `/v1`. */
export function endpointOf(text: string): string | undefined {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  if (!URL.canParse(withScheme)) return undefined
  const { origin, protocol, pathname, username, search, hash } = new URL(withScheme)
  if (protocol !== 'http:' && protocol !== 'https:') return undefined
  if (username !== '' || search !== '' || hash !== '') return undefined
  return origin + pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
}
