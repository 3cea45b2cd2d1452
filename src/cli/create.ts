import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Command, Option } from 'commander'
import { writeJson } from '../agent/private-files.ts'
import { stateDirectory } from '../agent/state-directory.ts'
import type { CreatedRoom } from '../client/client.ts'
import { findHub } from './hubs.ts'
import { called } from './invocation.ts'
import { hubFromLan } from './lan.ts'
import { addCommon, addPassword, type CommonOptions, examples, type PasswordOptions, passwordFrom } from './options.ts'
import { codeOf, guarded, oneLine, print, printJson } from './output.ts'

interface CreateOptions extends CommonOptions, PasswordOptions {
  code?: string
  listed: boolean
}

export function createCommand(): Command {
  const command = addPassword(addCommon(new Command('create').description('Open a room')))
    .argument('<name>', 'shown to everybody')
    .addOption(new Option('--code <code>', 'a code of your own choice: 4 to 12 of A–Z and 0–9'))
    .addOption(new Option('--no-listed', 'found by its code alone, never announced'))
  examples(
    command,
    ['potluck create "Friday kitchen"', 'prints the code to give to the others'],
    ['potluck create Lab --code LAB42 --no-listed', 'with a code that stays the same'],
  )
  return command.action(guarded((_name: string, { json }: CreateOptions) => json === true, create))
}

async function create(name: string, options: CreateOptions): Promise<void> {
  const hub = await findHub(options)
  const password = passwordFrom(options)
  const { code, listed } = options
  const created = await hub.createRoom(
    {
      name,
      ...(code === undefined ? {} : { code }),
      ...(password === undefined ? {} : { password }),
      ...(listed ? {} : { listed }),
    },
    { credential: process.env.POTLUCK_ADMIN_TOKEN || undefined },
  )
  const { room } = created
  const roomCode = codeOf(room.code)
  const baseUrlAt = (url: string) => `${url}/rooms/${roomCode}/v1`
  const baseUrl = baseUrlAt(hub.url)
  const lanHub = hubFromLan(hub.url)
  const hostTokenFile = await keepHostToken(hub.url, created)
  if (options.json === true)
    return printJson({ hub: hub.url, lanHub, room, protected: created.protected, baseUrl, hostTokenFile })
  const isFar = lanHub === hub.url
  const join = (url: string | undefined) => called(`join ${roomCode}${url === undefined ? '' : ` --hub ${url}`}`)
  print(`Opened ${oneLine(room.name)}: its code is ${roomCode}`)
  print(`Bring a model:  ${join(isFar || options.hub !== undefined ? hub.url : undefined)}`)
  print(`Use the models: OpenAI base URL ${baseUrl}, API key: ${created.protected ? "the room's password" : 'any'}`)
  if (lanHub !== undefined && !isFar) {
    print('On other machines, where the hub listens on the LAN:')
    print(`  ${join(lanHub)}`)
    print(`  OpenAI base URL ${baseUrlAt(lanHub)}`)
  }
  print(`You are its host: your token is kept in ${hostTokenFile}`)
}

/** The hub shows it once; it is a credential, so it goes to a file that only its owner can read, and to no terminal or log. */
async function keepHostToken(hub: string, { room, hostToken }: CreatedRoom): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([hub, room.id]))
    .digest('hex')
    .slice(0, 16)
  // The code is the hub's to say, and a file's name is not.
  const file = join(stateDirectory(), 'rooms', `${codeOf(room.code)}-${key}.json`)
  await writeJson(file, { hub, code: room.code, roomId: room.id, name: room.name, hostToken })
  return file
}
