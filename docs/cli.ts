/**
 * Writes the parts of docs/cli.md that the commands themselves tell: their arguments, options, examples and exit codes.
 *
 *   node docs/cli.ts [--check] [FILE]   --check writes nothing and fails where the page is stale
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Command } from 'commander'
import { EXIT } from '../src/cli/exit-codes.ts'
import { examplesOf } from '../src/cli/options.ts'
import { createProgram } from '../src/cli/program.ts'

const PAGE = fileURLToPath(new URL('./cli.md', import.meta.url))

/** Its options are the settings, which the README has. */
const ELSEWHERE = new Set(['serve'])

function table(rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((text) => text.replaceAll('|', '\\|')))
  const [head = [], ...body] = escaped
  const widths = head.map((_, column) => Math.max(...escaped.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [head, widths.map((width) => '-'.repeat(width)), ...body].map(line).join('\n')
}

function section(command: Command): string {
  const args = command.registeredArguments.map((each) => [usageOf(each), each.description])
  const options = command.options.map(({ flags, description, defaultValueDescription }) => [
    `\`${flags}\``,
    defaultValueDescription === undefined ? description : `${description} (default: ${defaultValueDescription})`,
  ])
  const examples = examplesOf(command).map(([line, meaning]) => `# ${meaning}\n${line}`)
  return [
    `### potluck ${command.name()}`,
    `${command.description()}.`,
    table([['argument or option', 'meaning'], ...args, ...options]),
    `\`\`\`sh\n${examples.join('\n')}\n\`\`\``,
  ].join('\n\n')
}

function usageOf(argument: Command['registeredArguments'][number]): string {
  return argument.required ? `\`<${argument.name()}>\`` : `\`[${argument.name()}]\``
}

function commands(): string {
  const all = createProgram().commands.filter((command) => !ELSEWHERE.has(command.name()))
  return all.map(section).join('\n\n')
}

function exitCodes(): string {
  return table([['code', 'meaning'], ...Object.values(EXIT).map(([code, meaning]) => [String(code), meaning])])
}

const PARTS: Readonly<Record<string, () => string>> = { commands, 'exit codes': exitCodes }

/** The page with each part fresh between its markers. */
function fresh(page: string): string {
  return Object.entries(PARTS).reduce((text, [name, write]) => {
    const [begin, end] = [`<!-- ${name}: written by docs/cli.ts -->`, `<!-- /${name} -->`]
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from === -1 || to < from) throw new Error(`the markers ${begin} and ${end} are missing`)
    return `${text.slice(0, from + begin.length)}\n\n${write()}\n\n${text.slice(to)}`
  }, page)
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [file = PAGE] = positionals
const current = readFileSync(file, 'utf8')
const written = fresh(current)
if (!values.check) writeFileSync(file, written)
else if (written !== current) {
  console.error(`${file} is stale; run \`node docs/cli.ts\` to write it anew`)
  process.exitCode = 1
}
