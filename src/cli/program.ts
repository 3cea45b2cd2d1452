import { Command, CommanderError } from 'commander'
import { manifest } from '../version.ts'
import { askCommand } from './ask.ts'
import { createCommand } from './create.ts'
import { EXIT } from './exit-codes.ts'
import { joinCommand } from './join.ts'
import { ownCommands } from './own.ts'
import { roomsCommand } from './rooms.ts'
import { serveCommand } from './serve.ts'

/** All commands, as they are documented in docs/cli.md. */
export function createProgram(): Command {
  const program = new Command('potluck')
    .description(manifest.description)
    .version(manifest.version)
    .showHelpAfterError()
  const commands = [serveCommand(), joinCommand(), createCommand(), roomsCommand(), askCommand(), ...ownCommands()]
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program).exitOverride())
  return program.exitOverride()
}

export async function run(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage[0]
  }
}
