import { Command } from 'commander'
import { manifest } from '../version.ts'
import { serveCommand } from './serve.ts'

const program = new Command('potluck').description(manifest.description).version(manifest.version).showHelpAfterError()
program.addCommand(serveCommand())
await program.parseAsync()
