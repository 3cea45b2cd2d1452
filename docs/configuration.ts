/**
 * Writes the README's table of settings from the settings themselves.
 *
 *   node docs/configuration.ts [--check] [FILE]   --check writes nothing and fails where the table is stale
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SETTINGS } from '../src/config.ts'

const README = fileURLToPath(new URL('../README.md', import.meta.url))
const BEGIN = '<!-- settings: written by docs/configuration.ts -->'
const END = '<!-- /settings -->'

type AnySetting = (typeof SETTINGS)[keyof typeof SETTINGS]

const HEAD = ['variable', 'flag', 'default', 'meaning', 'allowed']

function cells({ env, flag, default: fallback, shownDefault = String(fallback), description, allowed }: AnySetting) {
  const shown = shownDefault === '' ? 'none' : `\`${shownDefault}\``
  // A bar would end the cell.
  return [`\`${env}\``, `\`--${flag}\``, shown, description, allowed].map((text) => text.replaceAll('|', '\\|'))
}

/** In columns, as the formatter wants it. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)))
  const line = (row: string[]) => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n')
}

function settingsTable(): string {
  return table(HEAD, Object.values(SETTINGS).map(cells))
}

/** The document with a fresh table between its markers. */
function withTable(document: string): string {
  const begin = document.indexOf(BEGIN)
  const end = document.indexOf(END)
  if (begin === -1 || end < begin) throw new Error(`the markers ${BEGIN} and ${END} are missing`)
  return `${document.slice(0, begin + BEGIN.length)}\n\n${settingsTable()}\n\n${document.slice(end)}`
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [file = README] = positionals
const current = readFileSync(file, 'utf8')
const fresh = withTable(current)
if (!values.check) writeFileSync(file, fresh)
else if (fresh !== current) {
  console.error(`${file}: the table of settings is stale; run \`node docs/configuration.ts\` to write it anew`)
  process.exitCode = 1
}
