import { Command, Option } from 'commander'
import type { ChatAnswer, Client } from '../client/client.ts'
import { Failure } from './exit-codes.ts'
import { findHub, readRoom } from './hubs.ts'
import { explainNobody } from './nobody.ts'
import {
  addCommon,
  addPassword,
  type CommonOptions,
  examples,
  isTerminal,
  noSuchRoom,
  type PasswordOptions,
  passwordFrom,
  passwordNeeded,
  promptPassword,
} from './options.ts'
import { guarded, oneLine, printable, printJson, tell } from './output.ts'

interface AskOptions extends CommonOptions, PasswordOptions {
  model?: string
}

/** A prompt that the hub would not take anyway. */
const MAX_PROMPT_BYTES = 32 * 1024 * 1024

export function askCommand(): Command {
  const command = addPassword(
    addCommon(new Command('ask').description('Ask a model of a room; the answer is on standard output')),
  )
    .argument('<code>', "the room's code or URL")
    .argument('[prompt]', 'the question; from standard input where it is - or absent')
    .addOption(new Option('--model <name>', 'a model, an alias or a participant; else whoever is free'))
  examples(
    command,
    ['potluck ask K7QX2M "What goes into a soup?"', 'whoever is free answers'],
    ['git diff | potluck ask K7QX2M --model qwen3:8b -', 'the prompt comes from standard input'],
  )
  const isJson = (_code: string, _prompt: string | undefined, { json }: AskOptions) => json === true
  return command.action(guarded(isJson, ask))
}

async function ask(room: string, prompt: string | undefined, options: AskOptions): Promise<void> {
  const { code = '', hub: address } = readRoom(room)
  const content = await readPrompt(prompt)
  const hub = await findHub({ hub: options.hub ?? address })
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  const startedAt = performance.now()
  try {
    const answer = await answerOf(hub, code, options, content, interrupted.signal)
    await show(answer, startedAt, options.json === true)
  } catch (error) {
    if (interrupted.signal.aborted) throw new Failure('interrupted', 'interrupted')
    throw (error as { code?: string }).code === 'PTL_ROOM_NOT_FOUND' ? await noSuchRoom(hub, code) : error
  }
}

async function readPrompt(prompt: string | undefined): Promise<string> {
  if (prompt !== undefined && prompt !== '-') return notEmpty(prompt)
  if (prompt === undefined && process.stdin.isTTY)
    throw new Failure('usage', 'Ask what? Give the prompt, or pipe it in')
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin) {
    bytes += (chunk as Buffer).length
    if (bytes > MAX_PROMPT_BYTES) throw new Failure('usage', `The prompt is larger than ${MAX_PROMPT_BYTES} bytes`)
    chunks.push(chunk as Buffer)
  }
  return notEmpty(Buffer.concat(chunks).toString())
}

function notEmpty(prompt: string): string {
  if (prompt.trim() === '') throw new Failure('usage', 'The prompt is empty')
  return prompt
}

/** Asks for the password where one is missing and somebody is there to type it. */
async function answerOf(hub: Client, code: string, options: AskOptions, content: string, signal: AbortSignal) {
  const messages = [{ role: 'user', content }]
  const model = options.model === undefined ? {} : { model: options.model }
  const chat = (credential: string | undefined) =>
    hub.chat(code, { ...model, messages, credential, signal }).catch(async (error: unknown) => {
      throw await explainNobody(error, hub, { code, model: options.model, credential })
    })
  const known = passwordFrom(options)
  try {
    return await chat(known)
  } catch (error) {
    if ((error as { code?: string }).code !== 'PTL_PASSWORD_REQUIRED') throw error
    if (!isTerminal()) throw passwordNeeded(code, error)
    return chat(await promptPassword(`Password of ${code}`))
  }
}

async function show(answer: ChatAnswer, startedAt: number, isJson: boolean): Promise<void> {
  let text = ''
  let firstAt: number | undefined
  for await (const piece of answer.text) {
    firstAt ??= performance.now()
    text += piece
    if (!isJson) await write(process.stdout.isTTY ? printable(piece) : piece)
  }
  const figures = figuresOf(answer, startedAt, firstAt)
  if (isJson) return printJson({ text, ...figures })
  if (!text.endsWith('\n')) await write('\n')
  tell(summary(figures))
}

interface Figures {
  participant?: string
  model?: string
  ttftMs?: number
  durationMs: number
  inputTokens?: number
  outputTokens?: number
  tokensPerSecond?: number
}

function figuresOf(answer: ChatAnswer, startedAt: number, firstAt: number | undefined): Figures {
  const endedAt = performance.now()
  const usage = answer.usage()
  const seconds = (endedAt - (firstAt ?? startedAt)) / 1000
  return {
    ...(answer.participant === undefined ? {} : { participant: answer.participant }),
    ...(answer.model === undefined ? {} : { model: answer.model }),
    ...(firstAt === undefined ? {} : { ttftMs: Math.round(firstAt - startedAt) }),
    durationMs: Math.round(endedAt - startedAt),
    ...usage,
    // A single token has no speed.
    ...(usage === undefined || usage.outputTokens < 2 || seconds <= 0
      ? {}
      : { tokensPerSecond: Math.round((usage.outputTokens / seconds) * 10) / 10 }),
  }
}

function summary({ participant, model, ttftMs, durationMs, outputTokens, tokensPerSecond }: Figures): string {
  const who = `${oneLine(participant ?? 'somebody')}${model === undefined ? '' : ` (${oneLine(model)})`}`
  const count = outputTokens === undefined ? '' : `${outputTokens} tokens in `
  const speed = tokensPerSecond === undefined ? '' : `, ${tokensPerSecond} tokens/s`
  const first = ttftMs === undefined ? '' : `, the first after ${(ttftMs / 1000).toFixed(2)} s`
  return `${who}: ${count}${(durationMs / 1000).toFixed(2)} s${speed}${first}`
}

/** A pipe that is full waits, and so does the answer. */
async function write(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}
