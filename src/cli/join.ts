import { Command, InvalidArgumentError, Option } from 'commander'
import { LIMITS } from '../../schemas/limits.ts'
import { addCommon, addPassword, type CommonOptions, examples, type PasswordOptions } from './options.ts'
import { guarded } from './output.ts'

export interface JoinOptions extends CommonOptions, PasswordOptions {
  model: string[]
  endpoint: string[]
  header: string[]
  nickname?: string
  id?: string
  slots?: number
  specs: boolean
  keepAwake: boolean
  direct?: boolean
  manage?: boolean
}

export function joinCommand(): Command {
  const command = addPassword(
    addCommon(new Command('join').description('Bring the LLM servers of this machine into a room')),
  )
    .argument('[code]', "the room's code or URL; on a terminal you may choose from a list")
    .addOption(
      new Option('--model <name>', 'offer this model only; may be given several times')
        .argParser(collect)
        .default([], 'all'),
    )
    .addOption(
      new Option('--endpoint <url>', 'join with this LLM server; may be given several times')
        .argParser(collect)
        .default([], 'all on this machine'),
    )
    .addOption(
      new Option(
        '--header <header>',
        'credentials of your provider, for the servers named by --endpoint, as "Name: value", which others on this machine can see here, so rather as @FILE or in POTLUCK_HEADERS, one a line; the hub never learns of them; may be given several times',
      )
        .argParser(collect)
        .default([], 'none'),
    )
    .addOption(new Option('--nickname <name>', 'shown to the room (default: your user name)').argParser(nickname))
    .addOption(
      new Option('--id <id>', "the participant's id (default: the nickname and the kind of server)").argParser(id),
    )
    .addOption(
      new Option('--slots <number>', 'how many requests it serves at once (default: what the server says)').argParser(
        slots,
      ),
    )
    .addOption(new Option('--no-specs', 'do not tell the room what this machine is made of'))
    .addOption(new Option('--no-keep-awake', 'let the machine fall asleep while it serves'))
    .addOption(new Option('--manage', "let the room fetch and delete models by Ollama's API"))
    .addOption(new Option('--direct', 'no tunnel: the hub calls the LLM server itself, which must listen on the LAN'))
  examples(
    command,
    ['potluck join', 'choose a room, and bring all models of this machine'],
    ['potluck join K7QX2M --model llama3.2:3b', 'one model only'],
    ['potluck join K7QX2M --hub 192.168.1.5', 'the hub runs on another machine'],
    ['potluck join http://192.168.1.5:3000/rooms/K7QX2M', 'the same, by the URL of the room'],
    [
      'potluck join K7QX2M --endpoint https://llm.example --header @key.txt',
      'a server with a key: the file says "Authorization: Bearer …"',
    ],
    ['potluck join K7QX2M | jq .', 'for programs: one JSON object an event'],
  )
  command.action(
    guarded(isJson, async (code: string | undefined, options: JoinOptions) => {
      const { join } = await import('./joining.ts')
      await join(code, options, isJson(code, options))
    }),
  )
  command.hook('postAction', exitOnceWritten)
  return command
}

/** Programs of the system that still look for a graphics card would keep the process. */
function exitOnceWritten(): void {
  process.stdout.write('', () => process.exit())
}

/** A pipe gets what programs read. */
function isJson(_code: string | undefined, { json }: JoinOptions): boolean {
  return json === true || process.stdout.isTTY !== true
}

function collect(value: string, before: string[]): string[] {
  return [...before, value]
}

function nickname(text: string): string {
  if (text.trim() === '' || text.length > LIMITS.nickname) {
    throw new InvalidArgumentError(`It must be a text of 1 to ${LIMITS.nickname} characters.`)
  }
  return text
}

function id(text: string): string {
  const isUsable =
    /^[A-Za-z0-9._:-]+$/.test(text) && text.length <= LIMITS.participantId && text !== '.' && text !== '..'
  if (!isUsable) throw new InvalidArgumentError(`It must be 1 to ${LIMITS.participantId} of A–Z a–z 0–9 . _ : -`)
  return text
}

function slots(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0
  if (count < 1 || count > LIMITS.slots)
    throw new InvalidArgumentError(`It must be a number from 1 to ${LIMITS.slots}.`)
  return count
}
