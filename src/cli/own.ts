import { Command, Option } from 'commander'
import { type Identity, openIdentities } from '../agent/identities.ts'
import { stateDirectory } from '../agent/state-directory.ts'
import { createClient } from '../client/client.ts'
import { Failure } from './exit-codes.ts'
import { hubUrl, readRoom } from './hubs.ts'
import { addCommon, type CommonOptions, examples } from './options.ts'
import { fail, guarded, print, printJson } from './output.ts'

/** `leave`, `pause` and `resume`: of the participants that joined from this machine, by the tokens that are kept here. */

interface OwnOptions extends CommonOptions {
  id?: string
}

interface Deed {
  name: 'leave' | 'pause' | 'resume'
  description: string
  /** @returns what has become of it, as an end of "alice-ollama …" and as fields */
  act(identity: Identity): Promise<{ told: string; fields: object }>
}

const identities = () => openIdentities(stateDirectory())

const DEEDS: readonly Deed[] = [
  {
    name: 'leave',
    description: 'Take what joined from this machine out of its rooms; a running `join` ends',
    async act(identity) {
      const wasThere = await leave(identity)
      await identities().remove(identity)
      return { told: wasThere ? 'has left' : 'was not there any more', fields: { left: true } }
    },
  },
  {
    name: 'pause',
    description: 'Let nothing new in; what runs is finished, and the participant stays in its room',
    act: (identity) => setPaused(identity, true),
  },
  {
    name: 'resume',
    description: 'Serve again after a pause',
    act: (identity) => setPaused(identity, false),
  },
]

export function ownCommands(): Command[] {
  return DEEDS.map(ownCommand)
}

function ownCommand(deed: Deed): Command {
  const command = addCommon(new Command(deed.name).description(deed.description))
    .argument('[code]', 'of one room; else of all')
    .addOption(new Option('--id <id>', 'of one participant; else all'))
  examples(
    command,
    [`potluck ${deed.name}`, 'all that joined from this machine'],
    [`potluck ${deed.name} K7QX2M --id alice-ollama`, 'one participant of one room'],
  )
  const isJson = (_code: string | undefined, { json }: OwnOptions) => json === true
  return command.action(guarded(isJson, (code: string | undefined, options: OwnOptions) => doAll(deed, code, options)))
}

async function doAll(deed: Deed, text: string | undefined, options: OwnOptions): Promise<void> {
  const { json = false } = options
  const own = await wanted(text, options)
  if (own.length === 0) throw await nothingTo(deed.name, text, options)
  for (const identity of own) {
    const { id, code, hub } = identity
    try {
      const { told, fields } = await deed.act(identity)
      if (json) printJson({ participantId: id, code, hub, ...fields })
      else print(`${id} ${told} (room ${code} at ${hub})`)
    } catch (error) {
      // The others are still to be done.
      fail(error, json)
    }
  }
}

/** Says what was asked for, and what there is instead. */
async function nothingTo(deed: Deed['name'], text: string | undefined, options: OwnOptions): Promise<Failure> {
  const { code } = readRoom(text)
  const room = code === undefined ? '' : ` room ${code}`
  const id = options.id === undefined ? '' : ` as ${options.id}`
  const at = options.hub === undefined ? '' : ` at ${hubUrl(options.hub)}`
  const all = await identities().list()
  const others = all.map((each) => `${each.id} (room ${each.code} at ${each.hub})`)
  const there = others.length === 0 ? '' : `. There is ${others.join(', ')}`
  return new Failure('noSuch', `Nothing to ${deed}: nothing has joined${room}${id}${at} from this machine${there}`)
}

async function wanted(text: string | undefined, { hub, id }: OwnOptions): Promise<Identity[]> {
  const room = readRoom(text)
  const address = hub ?? room.hub
  const url = address === undefined ? undefined : hubUrl(address)
  const all = await identities().list()
  return all.filter(
    (each) =>
      (room.code === undefined || each.code === room.code) &&
      (url === undefined || each.hub === url) &&
      (id === undefined || each.id === id),
  )
}

async function leave({ hub, code, id, token }: Identity): Promise<boolean> {
  try {
    await createClient({ url: hub }).leave(code, id, { credential: token })
    return true
  } catch (error) {
    const { code: why = '' } = error as { code?: string }
    // Its place is gone, or somebody else's: there is nothing of ours any more.
    const isGone = ['PTL_PARTICIPANT_NOT_FOUND', 'PTL_ROOM_NOT_FOUND', 'PTL_NOT_YOUR_PARTICIPANT', 'PTL_TOKEN_REQUIRED']
    if (!isGone.includes(why)) throw error
    return false
  }
}

async function setPaused({ hub, code, id, token }: Identity, paused: boolean) {
  await createClient({ url: hub }).updateParticipant(code, id, { paused }, { credential: token })
  return { told: paused ? 'is paused' : 'serves again', fields: { paused } }
}
