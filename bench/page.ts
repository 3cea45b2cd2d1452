import { cpus, release, totalmem } from 'node:os'
import type { Outcome, Table, Verdict } from './bench.ts'
import { number } from './format.ts'
import type { RunningParty } from './parties/party.ts'

export interface Report {
  readonly date: Date
  readonly pairs: number
  /** The parties had a core of their own. */
  readonly isApart: boolean
  /** Where it is no run to rely on: why. */
  readonly reservation?: string
  readonly parties: readonly Pick<RunningParty, 'title' | 'version'>[]
  readonly missing: readonly { readonly title: string; readonly reason: string }[]
  readonly outcomes: readonly Outcome[]
}

const cell = (text: string) => text.replaceAll('|', '\\|').replace(/\s+/g, ' ')

function table({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

function met({ isMet }: Verdict): string {
  if (isMet === 'none') return '–'
  return isMet ? 'met' : '**missed**'
}

function verdictTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap(({ title, verdicts }) =>
    verdicts.map((verdict) => [title, verdict.what, verdict.target, verdict.measured, met(verdict)]),
  )
  return table({ columns: ['scenario', 'what', 'target', 'measured (95 %)', ''], rows })
}

function section({ title, method, tables, notes }: Outcome): string {
  const remarks = notes.map((note) => `- ${note}`).join('\n')
  return [`## ${title}`, method, ...tables.map(table), remarks].filter((part) => part !== '').join('\n\n')
}

function machine(): string {
  const [first] = cpus()
  const memory = number(totalmem() / 1024 ** 3)
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown CPU'}, ${memory} GB of memory, ${process.platform} ${release().split('-')[0]} ${process.arch}`
}

function list(entries: readonly string[]): string {
  return entries.length === 0 ? '- none' : entries.map((entry) => `- ${entry}`).join('\n')
}

const HOW = `Written by \`npm run bench\` (\`bench/run.ts\`); do not edit it by hand.

All parties, the fake LLM server and the load generator are processes of their own on one machine, and talk over its loopback
interface. They are warmed up, then take turns: A B C, C B A, and so on. A ratio or a difference is the median of those of the
single rounds, not that of the medians below; its interval of 95 % comes from a bootstrap over them, and its upper end is what is held against the target. CPU is
that of the party's own processes, as the kernel counts it. The load generator looks at each answer: a party that loses or
changes one is out.`

const APART = `The parties that take turns run on the first core, the load generator and the LLM server on the others: who shares one with
whom would decide over a third of what a request costs. Processes that a scenario starts for itself run where the kernel likes.`

export function render({ date, pairs, isApart, reservation, parties, missing, outcomes }: Report): string {
  const versions = parties.filter(({ version }) => version !== '').map(({ title, version }) => `${title}: ${version}`)
  const parts = [
    '# Benchmarks',
    ...(reservation === undefined ? [] : [`**${reservation}**`]),
    isApart ? `${HOW} ${APART}` : HOW,
    `- Date: ${date.toISOString().slice(0, 10)}, ${pairs} rounds\n- Machine: ${machine()}\n- Node ${process.versions.node}`,
    '## Targets',
    verdictTable(outcomes),
    '## Parties',
    list(versions),
    'Missing:',
    list(missing.map(({ title, reason }) => `${title}: ${reason}`)),
    ...outcomes.map(section),
  ]
  return `${parts.join('\n\n')}\n`
}
