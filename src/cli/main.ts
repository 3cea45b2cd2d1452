import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { serveCommand } from './serve.ts'

const manifest = new URL(
  import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json',
  import.meta.url,
)
const { version, description } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string; description: string }

const program = new Command('potluck').description(description).version(version).showHelpAfterError()
program.addCommand(serveCommand())
await program.parseAsync()
