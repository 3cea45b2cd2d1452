import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { eventually } from '../support/cli.ts'

/** Two machines on one LAN: two network namespaces, each with a loopback of its own, and a cable between them. */
const LAUNCHER = fileURLToPath(new URL('../../bin/potluck.js', import.meta.url))
const LLM = fileURLToPath(new URL('../support/llm-child.ts', import.meta.url))
const HUB_ADDRESS = '10.213.77.1'
const LAPTOP_ADDRESS = '10.213.77.2'
const PORT = '3000'

const name = (machine: string) => `ptl-${process.pid}-${machine}`
const run = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' })
const does = (command: string, ...args: string[]) => run(command, ...args).status === 0

function must(command: string, ...args: string[]): void {
  const { status, stderr } = run(command, ...args)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

const canSplit = does('ip', 'netns', 'add', name('probe')) && does('ip', 'netns', 'exec', name('probe'), 'true')
const canDelay =
  canSplit && does('tc', '-n', name('probe'), 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms')
run('ip', 'netns', 'del', name('probe'))
const skip = canSplit ? false : 'SKIPPED: no network namespaces here (`ip netns` as root)'
const skipDelay = canDelay ? skip : 'SKIPPED: no delays here (`tc netem`, kernel module sch_netem)'

interface Machines {
  hub(...command: string[]): ChildProcess
  laptop(...command: string[]): ChildProcess
  /** The laptop's cable. */
  cable(state: 'up' | 'down'): void
}

function connect(t: Test): Machines {
  const [hub, laptop] = [name('hub'), name('laptop')]
  t.teardown(() => {
    run('ip', 'netns', 'del', hub)
    run('ip', 'netns', 'del', laptop)
  })
  for (const machine of [hub, laptop]) {
    must('ip', 'netns', 'add', machine)
    must('ip', '-n', machine, 'link', 'set', 'lo', 'up')
  }
  must('ip', 'link', 'add', 'eth0', 'netns', hub, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', laptop)
  for (const [machine, address] of [
    [hub, HUB_ADDRESS],
    [laptop, LAPTOP_ADDRESS],
  ] as const) {
    must('ip', '-n', machine, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
    must('ip', '-n', machine, 'link', 'set', 'eth0', 'up')
  }
  const state = t.testdir({})
  const on =
    (machine: string) =>
    (...command: string[]) => {
      const env = { PATH: process.env.PATH, HOME: state, XDG_STATE_HOME: `${state}/${machine}` }
      const child = spawn('ip', ['netns', 'exec', machine, process.execPath, ...command], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env,
      })
      t.teardown(() => child.kill('SIGKILL'))
      return child
    }
  return {
    hub: on(hub),
    laptop: on(laptop),
    cable: (state) => must('ip', '-n', laptop, 'link', 'set', 'eth0', state),
  }
}

async function heard(child: ChildProcess, pattern: RegExp, timeoutMs = 60_000): Promise<string> {
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (data: string) => (text += data))
  await eventually(
    () => text,
    () => pattern.test(text),
    timeoutMs,
  )
  return text
}

async function outputOf(child: ChildProcess): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (data: string) => (said.stdout += data))
  child.stderr?.setEncoding('utf8').on('data', (data: string) => (said.stderr += data))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...said }
}

/** A hub with the room KITCHEN on one machine, an LLM server on the other one's loopback. */
async function setUp(t: Test): Promise<Machines> {
  const machines = connect(t)
  await heard(machines.hub(LAUNCHER, 'serve', '--host', HUB_ADDRESS, '--port', PORT), /the hub listens at/)
  const created = await outputOf(machines.hub(LAUNCHER, 'create', 'Kitchen', '--code', 'KITCHEN', '--hub', HUB_ADDRESS))
  if (created.code !== 0) throw new Error(created.stderr)
  await heard(machines.laptop(LLM, '11434'), /^http/)
  return machines
}

const JOIN = [LAUNCHER, 'join', 'KITCHEN', '--hub', HUB_ADDRESS, '--nickname', 'Alice']
const ASK = [LAUNCHER, 'ask', 'KITCHEN', 'What goes into a soup?', '--hub', HUB_ADDRESS]

t.test('from `potluck join` on one machine to the first token on another', { skip }, async (t) => {
  const machines = await setUp(t)
  const startedAt = performance.now()
  const joining = machines.laptop(...JOIN)
  await heard(joining, /"via":"tunnel"/)
  const { code, stdout, stderr } = await outputOf(machines.hub(...ASK))
  const seconds = (performance.now() - startedAt) / 1000
  t.equal(code, 0, stderr)
  t.equal(stdout, 'Carrots and thyme\n')
  t.comment(`${seconds.toFixed(1)} s from the command to the end of the answer`)
  t.ok(seconds < 60)
  joining.kill('SIGINT')
  t.equal((await outputOf(joining)).code, 0)
})

t.test('the cable is pulled, and put back', { skip, timeout: 200_000 }, async (t) => {
  const machines = await setUp(t)
  const joining = machines.laptop(...JOIN)
  let said = ''
  joining.stdout?.setEncoding('utf8').on('data', (data: string) => (said += data))
  const online = () => said.split('"state":"online"').length - 1
  await eventually(online, (count) => count === 1)
  machines.cable('down')
  await eventually(
    () => said,
    (text) => text.includes('"state":"reconnecting"'),
    60_000,
  )
  t.not((await outputOf(machines.hub(...ASK))).code, 0, 'nobody is there')
  machines.cable('up')
  await eventually(online, (count) => count === 2, 60_000)
  t.equal((await outputOf(machines.hub(...ASK))).stdout, 'Carrots and thyme\n')
  t.equal(said.split('"event":"joined"').length - 1, 1)
})

t.test('200 ms of delay and 5 % loss', { skip: skipDelay, timeout: 200_000 }, async (t) => {
  const machines = await setUp(t)
  for (const machine of [name('hub'), name('laptop')]) {
    must('tc', '-n', machine, 'qdisc', 'add', 'dev', 'eth0', 'root', 'netem', 'delay', '200ms', 'loss', '5%')
  }
  const joining = machines.laptop(...JOIN)
  await heard(joining, /"via":"tunnel"/)
  for (let count = 0; count < 5; count += 1) {
    const { code, stdout, stderr } = await outputOf(machines.hub(...ASK))
    t.equal(code, 0, stderr)
    t.equal(stdout, 'Carrots and thyme\n')
  }
})
