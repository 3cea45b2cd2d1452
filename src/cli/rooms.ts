import { Command } from 'commander'
import { findHub } from './hubs.ts'
import { called } from './invocation.ts'
import { addCommon, type CommonOptions, countOf, examples } from './options.ts'
import { codeOf, guarded, oneLine, print, printJson, table } from './output.ts'

export function roomsCommand(): Command {
  const command = addCommon(new Command('rooms').description('List the rooms of the hub'))
  examples(
    command,
    ['potluck rooms', 'those of the hub on this machine'],
    ['potluck rooms --hub 192.168.1.5 --json', 'for programs'],
  )
  return command.action(guarded(({ json }: CommonOptions) => json === true, list))
}

async function list({ hub: address, json }: CommonOptions): Promise<void> {
  const hub = await findHub({ hub: address })
  const rooms = await hub.rooms()
  if (json === true) return printJson({ hub: hub.url, rooms })
  if (rooms.length === 0) return print(`No room is listed at ${hub.url}: open one by \`${called('create NAME')}\``)
  const lines = rooms.map(({ code, name, participantCount }) => [
    codeOf(code),
    oneLine(name),
    countOf(participantCount, 'participant'),
  ])
  for (const line of table(lines)) print(line)
}
