import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
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

export async function startKitchen(t: Test, password: string | null = null): Promise<Kitchen> {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t, answerEither)]
  const { room } = await openRoom(url, { name: 'Test kitchen', password })
  await join(url, room.code, { endpoint: llm.url, password })
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
export async function runBlock(block: Block, { base }: Kitchen, folder: string, command: string[]): Promise<Finished> {
  const filledIn = block.text.replaceAll(ROOM, base)
  if (block.file === '') return run([...command, filledIn], folder)
  writeFileSync(joinPath(folder, block.file), filledIn)
  return run([...command, block.file], folder)
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
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_OPTIONS|_?TAP_|OPENAI_)/.test(name))),
  NO_PROXY: '127.0.0.1,localhost',
  no_proxy: '127.0.0.1,localhost',
}

/** Fails, with all that the program said, where it did not answer in full. */
export function answered(t: Test, { code, stdout, stderr }: Finished, { llm }: Kitchen): void {
  t.equal(code, 0, stderr)
  t.match(stdout, /plain[\s\S]*streamed/)
  t.same(
    llm.requests.map(({ path }) => path),
    ['/v1/chat/completions', '/v1/chat/completions'],
  )
}
