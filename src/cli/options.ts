import { type Command, Option } from 'commander'
import type { Client } from '../client/client.ts'
import { Failure } from './exit-codes.ts'
import { called } from './invocation.ts'
import { codeOf, oneLine } from './output.ts'
import { password as askPassword, select } from './prompts.ts'

export interface CommonOptions {
  hub?: string
  json?: boolean
}

export interface PasswordOptions {
  password?: string
}

/** What all commands have. */
export function addCommon(command: Command): Command {
  return command
    .addOption(new Option('--hub <url>', 'address of the hub; else POTLUCK_HUB, else the one on this machine'))
    .addOption(new Option('--json', 'print JSON, one object a line'))
}

export function addPassword(command: Command): Command {
  return command.addOption(
    new Option(
      '--password <password>',
      "the room's password; others on this machine can see it here, so rather set POTLUCK_PASSWORD, or wait to be asked",
    ),
  )
}

type Example = readonly [line: string, meaning: string]

const EXAMPLES = new WeakMap<Command, readonly Example[]>()

export function examples(command: Command, ...lines: Example[]): Command {
  EXAMPLES.set(command, lines)
  const typed = (line: string) => line.replace(/(?<=^|\| )potluck /, called(''))
  const text = lines.map(([line, meaning]) => `  $ ${typed(line)}\n    ${meaning}`).join('\n')
  return command.addHelpText('after', `\nExamples:\n${text}`)
}

/** For docs/cli.md. */
export function examplesOf(command: Command): readonly Example[] {
  return EXAMPLES.get(command) ?? []
}

export function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true
}

export function passwordFrom({ password }: PasswordOptions, env = process.env): string | undefined {
  return password ?? (env.POTLUCK_PASSWORD || undefined)
}

export function passwordNeeded(code: string, cause: unknown): Failure {
  return new Failure('refused', `${code} has a password: set POTLUCK_PASSWORD, or give it by --password`, { cause })
}

export async function promptPassword(message: string): Promise<string> {
  return askPassword(message)
}

/** @throws Failure where there is nobody to ask, or nothing to choose */
export async function chooseRoom(hub: Client): Promise<string> {
  if (!isTerminal()) throw new Failure('usage', `Which room? Give its code: \`${called('rooms')}\` lists them`)
  const rooms = await hub.rooms()
  if (rooms.length === 0) {
    throw new Failure(
      'noSuch',
      `No room is listed at ${hub.url}: open one by \`${called('create NAME')}\`, or give a code`,
    )
  }
  return select(
    'Which room?',
    rooms.map(({ code, name, participantCount }) => ({
      value: codeOf(code),
      name: `${oneLine(name)} (${codeOf(code)}, ${countOf(participantCount, 'participant')})`,
    })),
  )
}

/** @param count a hub may say anything */
export function countOf(count: unknown, noun: string): string {
  if (!Number.isFinite(count)) return `? ${noun}s`
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** Codes that a message lists. */
const MAX_LISTED = 10

export async function noSuchRoom(hub: Client, code: string): Promise<Failure> {
  const rooms = await hub.rooms().catch(() => [])
  const listed = rooms.slice(0, MAX_LISTED).map((room) => `${codeOf(room.code)} (${oneLine(room.name)})`)
  const more = rooms.length > MAX_LISTED ? ` and ${rooms.length - MAX_LISTED} more` : ''
  const there = rooms.length === 0 ? 'None is listed there' : `There are ${listed.join(', ')}${more}`
  return new Failure('noSuch', `No room ${oneLine(code)} at ${hub.url}. ${there}`)
}
