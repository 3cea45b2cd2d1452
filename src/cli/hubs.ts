import { lookAt } from '../agent/llm/server.ts'
import { type Client, createClient, NotAHub } from '../client/client.ts'
import { exitOf, Failure } from './exit-codes.ts'
import { called } from './invocation.ts'

const USUAL_PORT = 3000

/** A hub on this machine or this LAN answers at once. */
const CHECK_TIMEOUT_MS = 3000

/** One way to find a hub: the addresses to try, in order. The first way that knows any decides. */
export interface HubFinder {
  /** For the message that says where it was looked. */
  readonly name: string
  find(): Promise<readonly string[]>
}

export interface HubWishes {
  /** `--hub` */
  hub?: string | undefined
  env?: NodeJS.ProcessEnv
}

export function findersFor({ hub, env = process.env }: HubWishes): HubFinder[] {
  return [
    { name: '--hub', find: async () => (hub === undefined ? [] : [hubUrl(hub)]) },
    { name: 'POTLUCK_HUB', find: async () => (env.POTLUCK_HUB ? [hubUrl(env.POTLUCK_HUB)] : []) },
    { name: 'this machine', find: async () => ownAddresses(env) },
  ]
}

/** The hub answers at one of these where it runs here, with or without TLS. */
function ownAddresses({ PORT }: NodeJS.ProcessEnv): string[] {
  const port = /^\d{1,5}$/.test(PORT ?? '') ? PORT : USUAL_PORT
  return [`http://localhost:${port}`, `https://localhost:${port}`]
}

/** The first hub that answers. @throws Failure that says what was tried */
export async function findHub(wishes: HubWishes, finders = findersFor(wishes)): Promise<Client> {
  for (const finder of finders) {
    const urls = await finder.find()
    if (urls.length > 0) return firstOf(finder, urls)
  }
  throw new Failure('unavailable', 'No hub was found: name one by --hub or POTLUCK_HUB')
}

async function firstOf({ name }: HubFinder, urls: readonly string[]): Promise<Client> {
  const failures: Error[] = []
  for (const url of urls) {
    const hub = createClient({ url })
    try {
      await hub.check({ signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) })
      return hub
    } catch (error) {
      failures.push(await explained(error))
    }
  }
  throw told(name, failures, urls)
}

/** Those who take an LLM server for a hub are told so. */
async function explained(error: unknown): Promise<Error> {
  if (!(error instanceof NotAHub)) return error as Error
  const { kind } = await lookAt(error.url)
  if (kind !== 'found') return error
  const message = `No Potluck hub at ${error.url} (it looks like an LLM server: did you mean --endpoint?)`
  return new Failure('protocol', message, { cause: error })
}

function told(name: string, failures: readonly Error[], urls: readonly string[]): Error {
  const [first] = failures
  if (urls.length === 1 && first !== undefined) return first
  // Where something listens, that is what matters; at the others nothing was to be expected.
  const telling = failures.find(({ message }) => !/nothing listens/.test(message)) ?? first
  const where = `Looked for a hub on ${name}: ${urls.join(', ')}. ${telling?.message ?? ''}`
  return new Failure(
    exitOf(telling),
    `${where}. Start one (\`${called('serve')}\`), or name one by --hub or POTLUCK_HUB`,
  )
}

/** What people type: `192.168.1.5`, `hub.local:4000`, `https://hub.example`, or any URL of a room of it. */
export function hubUrl(text: string): string {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const url = URL.parse(hasScheme ? text : `http://${text}`)
  if (url === null || url.username !== '' || !/^https?:$/.test(url.protocol))
    throw new Failure('usage', `${text} is no address of a hub: give it like http://192.168.1.5:3000`)
  if (!hasScheme && url.port === '' && !/:80(\/|$)/.test(text)) url.port = String(USUAL_PORT)
  return url.origin + url.pathname.replace(/\/rooms(\/.*)?$/, '').replace(/\/+$/, '')
}

/** A room's code, or its URL as `join` and `create` print it. */
export function readRoom(text: string | undefined): { code?: string; hub?: string } {
  if (text === undefined) return {}
  const [, hub, code] = /^(https?:\/\/[^/]+.*?)\/rooms\/([^/]+)(?:\/.*)?$/i.exec(text) ?? []
  return hub === undefined || code === undefined ? { code: text.toUpperCase() } : { code: code.toUpperCase(), hub }
}
