import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keepAwake } from '../../src/agent/machine/awake.ts'
import { readSpecs } from '../../src/agent/machine/specs.ts'
import { eventually } from '../support/cli.ts'

t.test('what this machine is made of, as the hub takes it', async (t) => {
  const specs = await readSpecs()
  t.ok(specs.ram !== undefined && specs.ram > 0)
  for (const [key, value] of Object.entries(specs)) {
    t.ok(['gpu', 'cpu', 'vram', 'ram'].includes(key), key)
    t.ok(typeof value === 'string' ? value.trim() !== '' : value >= 0, `${key}: ${value}`)
  }
})

/** A stand-in for `systemd-inhibit … cat`: it lives until its standard input ends, and notes that it was started. */
const holder = (file: string) => ['sh', '-c', `echo start >> '${file}'; cat; echo end >> '${file}'`]
const linesOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [])

t.test('the machine is held while it serves, and let go a while after', async (t) => {
  const file = join(t.testdir({}), 'log')
  const awake = keepAwake({ command: ['sh', '-c', `echo start >> '${file}'; cat`], lingerMs: 100 })
  t.teardown(() => awake.close())
  awake.serving(false)
  awake.serving(true)
  awake.serving(true)
  await eventually(
    () => linesOf(file),
    ({ length }) => length === 1,
  )
  awake.serving(false)
  awake.serving(true)
  await new Promise((resolve) => setTimeout(resolve, 250))
  t.same(linesOf(file), ['start'], 'a short rest changes nothing')
  awake.serving(false)
  await new Promise((resolve) => setTimeout(resolve, 250))
  awake.serving(true)
  await eventually(
    () => linesOf(file),
    ({ length }) => length === 2,
  )
})

t.test('it is let go when this process is gone: its input ends', async (t) => {
  const file = join(t.testdir({}), 'log')
  const { spawn } = await import('node:child_process')
  const module = new URL('../../src/agent/machine/awake.ts', import.meta.url).href
  const script = `import { keepAwake } from '${module}'; keepAwake({ command: ${JSON.stringify(holder(file))} }).serving(true); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' })
  t.teardown(() => child.kill('SIGKILL'))
  await eventually(
    () => linesOf(file),
    ({ length }) => length === 1,
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  t.same(
    await eventually(
      () => linesOf(file),
      ({ length }) => length === 2,
    ),
    ['start', 'end'],
  )
})

t.test('where nothing can hold it, or is allowed to, it is as if it were not asked', async (t) => {
  for (const command of [undefined, ['/no/such/program'], ['false']]) {
    const awake = keepAwake({ command, lingerMs: 10 })
    awake.serving(true)
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.doesNotThrow(() => awake.serving(false))
    t.doesNotThrow(() => awake.serving(true))
    awake.close()
  }
})
