import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AgentEvent, LeftReason, State } from '../../src/agent/events.ts'
import { createProgram } from '../../src/cli/program.ts'

const PAGE = readFileSync('docs/cli.md', 'utf8')

function runScript(...args: string[]) {
  return spawnSync(process.execPath, ['docs/cli.ts', ...args], { encoding: 'utf8' })
}

t.test('the page says what the commands say', async (t) => {
  const { status, stderr } = runScript('--check')
  t.equal(status, 0, stderr)
})

t.test('every command but `serve` has its section, with each option', async (t) => {
  for (const command of createProgram().commands.filter((each) => each.name() !== 'serve')) {
    const [, section = ''] = PAGE.split(`### potluck ${command.name()}\n`)
    for (const { flags } of command.options) t.ok(section.includes(`\`${flags}\``), `${command.name()} ${flags}`)
  }
})

t.test('a stale page is refused, and mended by running the script', async (t) => {
  const file = join(t.testdir({ 'cli.md': PAGE.replace(/^\| 64 .*\n/m, '') }), 'cli.md')
  const { status, stderr } = runScript('--check', file)
  t.equal(status, 1)
  t.match(stderr, 'run `node docs/cli.ts`')
  t.equal(runScript(file).status, 0)
  t.equal(readFileSync(file, 'utf8'), PAGE)
})

/** Complete by their types. */
const EVENTS: Record<AgentEvent['event'], true> = {
  joined: true,
  state: true,
  models: true,
  served: true,
  notice: true,
  left: true,
}
const STATES: Record<State, true> = {
  online: true,
  paused: true,
  reconnecting: true,
  waiting: true,
  away: true,
  leaving: true,
}
const REASONS: Record<LeftReason, true> = { asked: true, removed: true, refused: true, replaced: true }

t.test('every event, state and reason is on it', async (t) => {
  const rowOf = (event: string) => new RegExp(`^\\| \`${event}\` +\\|(.*)$`, 'm').exec(PAGE)?.[1] ?? ''
  for (const event of Object.keys(EVENTS)) t.not(rowOf(event), '', event)
  for (const state of Object.keys(STATES)) t.match(rowOf('state'), `\`${state}\``)
  for (const reason of Object.keys(REASONS)) t.match(rowOf('left'), `\`${reason}\``)
})
