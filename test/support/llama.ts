import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { ownPort } from './ports.ts'

const SCRIPT = fileURLToPath(new URL('../llm/llama-server.sh', import.meta.url))
const MODEL_MAKER = fileURLToPath(new URL('../llm/make-model.mjs', import.meta.url))

/** Large enough that an answer of a thousand tokens takes seconds: there is time to leave in between. */
const MODEL_SIZE = ['--layers', '8', '--dim', '256']

export interface Llama {
  url: string
  slots(): Promise<Slot[]>
}

export interface Slot {
  is_processing: boolean
  next_token?: { n_decoded: number }[]
}

/**
 * A real llama.cpp server of two slots with a model of noise, ended with the test.
 * @param more of the server's own options
 */
export async function startLlama(t: Test, directory: string, ...more: string[]): Promise<Llama> {
  const model = `${t.testdir({})}/model.gguf`
  await run(process.execPath, [MODEL_MAKER, model, ...MODEL_SIZE])
  const url = `http://127.0.0.1:${await ownPort()}`
  const child = spawn('bash', [SCRIPT, 'run', directory, new URL(url).port, '--model', model, ...more], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  // SIGTERM waits for requests in flight.
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  if (line !== `ready: ${url}`) throw new Error(`llama-server said: ${line}`)
  const slots = async () => (await (await fetch(`${url}/slots`)).json()) as Slot[]
  return { url, slots }
}

const LOOK_MS = 20

/** Resolves once no slot works, with the most tokens that one was seen at. Looking does not disturb a streamed request. */
export async function idle({ slots }: Llama): Promise<number> {
  let most = 0
  for (;;) {
    const working = (await slots()).filter(({ is_processing }) => is_processing)
    if (working.length === 0) return most
    most = Math.max(most, ...working.map(({ next_token }) => next_token?.[0]?.n_decoded ?? 0))
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}

async function run(command: string, args: string[]): Promise<void> {
  const [exitCode] = await once(spawn(command, args, { stdio: 'ignore' }), 'exit')
  if (exitCode !== 0) throw new Error(`${args[0]} ended with ${exitCode}`)
}

export interface Relay {
  url: string
  /** Sockets of the hub that are open. */
  sockets: Set<Socket>
  /** Resolves when the hub has opened a socket and sent something. */
  asked(): Promise<Socket>
}

/** Stands between the hub and the server, and sees what the hub does to its sockets. */
export async function startRelay(t: Test, target: string): Promise<Relay> {
  const sockets = new Set<Socket>()
  const asked: ((socket: Socket) => void)[] = []
  const server = createServer((near) => {
    const far = connect(Number(new URL(target).port), '127.0.0.1')
    sockets.add(near)
    near.once('data', () => asked.shift()?.(near))
    near.once('close', () => sockets.delete(near)).on('error', () => far.destroy())
    far.on('error', () => near.destroy())
    near.pipe(far).pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, sockets, asked: () => new Promise((resolve) => asked.push(resolve)) }
}
