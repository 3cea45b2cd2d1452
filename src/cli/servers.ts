import { endpointOf, findServers } from '../agent/llm/find.ts'
import { KIND_NAMES, type LlmServer, type Look, lookAt } from '../agent/llm/server.ts'
import { missing, offered } from '../agent/models.ts'
import { Failure } from './exit-codes.ts'
import { oneLine } from './output.ts'

export interface ServerWishes {
  endpoint: readonly string[]
  model: readonly string[]
  headers: Readonly<Record<string, string>>
}

export interface Chosen {
  servers: LlmServer[]
  /** What its owner should know. */
  notices: string[]
}

/** The LLM servers to join with: those that were named, else all that this machine has. @throws Failure */
export async function chooseServers({ endpoint, model, headers }: ServerWishes): Promise<Chosen> {
  const found = endpoint.length > 0 ? await named(endpoint, headers) : await discovered()
  const notices: string[] = []
  const filled = found.filter((server) => {
    if (server.models.length === 0) notices.push(emptySentence(server))
    return server.models.length > 0
  })
  if (filled.length === 0) throw new Failure('noModel', notices.join('. '))
  const unknown = missing(filled, model)
  if (unknown.length > 0) {
    const there = filled.flatMap(({ models }) => models).map(oneLine)
    throw new Failure('noModel', `No model ${unknown.map(oneLine).join(', ')} here. There are ${there.join(', ')}`)
  }
  for (const { models, url } of filled) {
    const dropped = model.length > 0 ? 0 : models.length - offered(models, []).length
    if (dropped > 0) notices.push(`${dropped} of the models at ${url} are more than a room takes: choose by --model`)
  }
  return { servers: filled.filter(({ models }) => offered(models, model).length > 0), notices }
}

function emptySentence({ kind, url }: LlmServer): string {
  const how = kind === 'ollama' ? ': fetch one, like `ollama pull llama3.2:3b`' : ''
  return `${capital(KIND_NAMES[kind])} at ${url} has no model yet${how}`
}

async function discovered(): Promise<LlmServer[]> {
  const { servers, looked, locked } = await findServers()
  if (servers.length > 0) return servers
  const keys = locked
    .map((url) => ` What answers at ${url} wants a key: name it by --endpoint, its key by --header.`)
    .join('')
  throw new Failure(
    'noModel',
    `No LLM server was found on this machine. Looked at ${looked.join(', ')}.${keys} Start one, or name it by --endpoint http://HOST:PORT`,
  )
}

async function named(endpoints: readonly string[], headers: ServerWishes['headers']): Promise<LlmServer[]> {
  const urls = endpoints.map((text) => {
    const url = endpointOf(text)
    if (url === undefined)
      throw new Failure(
        'usage',
        `--endpoint ${oneLine(text)} is no address of an LLM server: give it like http://127.0.0.1:11434`,
      )
    return url
  })
  const looks = await Promise.all([...new Set(urls)].map((url) => lookAt(url, headers)))
  return looks.map(serverOf)
}

function serverOf(look: Look): LlmServer {
  if (look.kind === 'found') return look.server
  if (look.kind === 'silent') throw new Failure('unavailable', `No LLM server answers at ${look.url}: ${look.reason}`)
  if (look.kind === 'locked') {
    throw new Failure(
      'refused',
      `${look.url} wants a key: give it by --header @FILE, where the file says "Authorization: Bearer …"`,
    )
  }
  if (look.kind === 'hub')
    throw new Failure('usage', `${look.url} is a Potluck hub: name your LLM server by --endpoint`)
  throw new Failure('noModel', `${look.url} answers, but is no LLM server: ${look.reason}`)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
