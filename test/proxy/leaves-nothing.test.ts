import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { within } from '../support/chat.ts'

const PROGRAM = fileURLToPath(new URL('../support/open-and-close.ts', import.meta.url))

t.test('a process whose hub has closed has nothing left to wait for, and ends', async (t) => {
  const child = spawn(process.execPath, [PROGRAM], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  const [exitCode] = await within(once(child, 'exit'), 20_000, 'the end of the process')
  const [stdout, stderr] = await output
  t.equal(stderr, '')
  t.strictSame(JSON.parse(stdout), [])
  t.equal(exitCode, 0)
})
