import { Command, CommanderError } from 'commander'
import { manifest } from '../version.ts'
import { askCommand } from './ask.ts'
import { createCommand } from './create.ts'
import { EXIT } from './exit-codes.ts'
import { called } from './invocation.ts'
import { joinCommand } from './join.ts'
import { tell } from './output.ts'
import { ownCommands } from './own.ts'
import { roomsCommand } from './rooms.ts'
import { serveCommand } from './serve.ts'

/** All commands, as they are documented in docs/cli.md. */
export function createProgram(): Command {
  const program = new Command('potluck')
    .description(manifest.description)
    .version(manifest.version)
    .configureOutput({ outputError: (text) => tell(text.trimEnd()) })
    .showHelpAfterError(helpHint('--help'))
  const commands = [serveCommand(), joinCommand(), createCommand(), roomsCommand(), askCommand(), ...ownCommands()]
  for (const command of commands) {
    command.copyInheritedSettings(program).showHelpAfterError(helpHint(`${command.name()} --help`))
    program.addCommand(command.exitOverride())
  }
  return program.exitOverride()
}

/** Who mistypes an option wants to see what was wrong, not a page of help. */
function helpHint(args: string): string {
  return `See ${called(args)}`
}

export async function run(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv)
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage[0]
  }
}
