import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TAP, Test } from 'tap'
import { type Answerer, answerPlain, answerStream, type FakeLlm, startFakeLlm } from './fake-llm.ts'
import { join, openRoom, startHub } from './hub.ts'

export const FOLDER = 'docs/clients'

/** What a page's reader replaces by what is true for him. */
const ROOM = 'http://hub:3000/rooms/K7QX2M'

/** A fenced block whose info string is `<language> try [file]`: it is there to be run. */
export interface Block {
  language: string
  /** To save it as, where it is no shell command. */
  file: string
  text: string
}

const BLOCK = /^```(\w+) try(?: (\S+))?\n(.*?)^```$/gms

export function pagesOf(): string[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith('.md'))
}

export function readPage(name: string): string {
  return readFileSync(joinPath(FOLDER, name), 'utf8')
}

export function blocksOf(name: string): Block[] {
  const found = readPage(name).matchAll(BLOCK)
  return Array.from(found, ([, language = '', file = '', text = '']) => ({ language, file, text }))
}

/** Where a client's requests go: a room with one participant who can stream. */
export interface Kitchen {
  base: string
  llm: FakeLlm
}

export interface KitchenOptions {
  password?: string | null
  /** What is on offer. */
  model?: string
  answerer?: Answerer
}

export async function startKitchen(t: Test, options: KitchenOptions = {}): Promise<Kitchen> {
  const { password = null, model = 'llama3.2:3b', answerer = answerEither } = options
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t, answerer)]
  const { room } = await openRoom(url, { name: 'Test kitchen', password })
  await join(url, room.code, { endpoint: llm.url, model, password })
  return { base: `${url}/rooms/${room.code}`, llm }
}

/** Streamed where the request asks for it; in words that say which. */
const answerEither: Answerer = (request, response) => {
  const isStream = /"stream":\s*true/.test(request.body.toString())
  return isStream ? answerStream(['stre', 'amed'])(request, response) : answerPlain('plain')(request, response)
}

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

/** The block as a reader would run it: with the room's own address, in that folder. */
export async function runBlock(
  block: Block,
  { base }: Kitchen,
  folder: string,
  command: string[],
  env = ENVIRONMENT,
): Promise<Finished> {
  const filledIn = block.text.replaceAll(ROOM, base)
  if (block.file === '') return run([...command, filledIn], folder, env)
  writeFileSync(joinPath(folder, block.file), filledIn)
  return run([...command, block.file], folder, env)
}

/** Resolves when the program has ended and all that it said has been read. */
export async function run([command = '', ...words]: string[], folder: string, env = ENVIRONMENT): Promise<Finished> {
  const child = spawn(command, words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.once('error', () => resolve(null))
  child.once('close', resolve)
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), promise])
  return { code, stdout, stderr }
}

/** Without tap's own hooks, which a reader has not; and a proxy must not take what is for this machine. */
const ENVIRONMENT: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|_?TAP_|(OPENAI|ANTHROPIC|OLLAMA)_)/.test(name)),
  ),
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
}

/** Fails, with all that the program said, where it did not answer in full. */
export function answered(
  t: Test,
  { code, stdout, stderr }: Finished,
  { llm }: Kitchen,
  path = '/v1/chat/completions',
): void {
  t.equal(code, 0, stderr)
  t.match(stdout, /plain[\s\S]*streamed/)
  t.same(
    llm.requests.map((request) => request.path),
    [path, path],
  )
}

const ALONE = ['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

/** Behind the sockets in `/run` are servers with another network (systemd-resolved, for one). */
const ENTER = 'ip link set lo up && mount -t tmpfs none /run && exec "$0" "$@"'

/**
 * Tests with a program that calls home, whatever it is told. They run in a process with a network of its own, in which there
 * is nothing but the hub, and what the program leaves running ends with them. Where that can't be had, they are skipped.
 * @param packages what to install from npm
 * @param tests get the folder of `node_modules`
 */
export async function testAlone(t: TAP, packages: string[], tests: (folder: string) => void): Promise<void> {
  const { POTLUCK_ALONE } = process.env
  if (POTLUCK_ALONE === undefined) return startAlone(t, packages)
  if (Object.keys(networkInterfaces()).join() !== 'lo') throw new Error('others can be reached from here')
  tests(POTLUCK_ALONE)
}

async function startAlone(t: TAP, packages: string[]): Promise<void> {
  const folder = mkdtempSync(joinPath(tmpdir(), 'potluck-alone-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const enter = [...ALONE, 'sh', '-c', ENTER]
  writeFileSync(joinPath(folder, 'package.json'), '{"private": true}')
  // Its scripts are others' programs, too.
  const install = ['npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages]
  const obstacle = (await failure([...enter, 'true'], folder)) ?? (await failure(install, folder))
  if (obstacle !== undefined) console.error(`\n!!!!!!!!!! SKIPPED: ${packages.join(', ')}: ${obstacle}`)
  const [command = '', ...words] = [...enter, process.execPath, ...process.execArgv, process.argv[1] ?? '']
  const env = { ...process.env, POTLUCK_ALONE: folder }
  await t.spawn(command, words, { env, skip: obstacle ?? false }, 'in a network of its own')
}

async function failure(command: string[], folder: string): Promise<string | undefined> {
  const { code, stderr } = await run(command, folder, process.env)
  return code === 0 ? undefined : `${command[0]} failed (${code}): ${stderr.trim().slice(-500)}`
}
