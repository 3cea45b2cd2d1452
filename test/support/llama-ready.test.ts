import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { eventually } from './cli.ts'
import { ownPort } from './ports.ts'

const SCRIPT = fileURLToPath(new URL('../llm/llama-server.sh', import.meta.url))
const MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }
const machine = process.platform === 'linux' ? MACHINES[process.arch] : undefined
const skip = machine === undefined ? 'SKIPPED: for Linux on x64 and arm64' : false

/** Never ends a line of its log. */
const SERVER = `
process.stderr.write('loading the mod')
const port = Number(process.argv[process.argv.indexOf('--port') + 1])
require('node:http').createServer((request, response) => {
  process.stderr.write('el, asked for its heal')
  response.end('{}')
}).listen(port, '127.0.0.1')
`

/** What `install` leaves: a program, and the loader that starts it. */
function installFake(t: Test): string {
  const directory = t.testdir({ 'potluck-test.gguf': '' })
  const libraries = join(directory, 'root/usr/lib', `${machine}-linux-gnu`)
  const programs = join(directory, 'root/usr/bin')
  for (const folder of [libraries, programs]) mkdirSync(folder, { recursive: true })
  write(join(libraries, 'ld-linux-fake.so.2'), `#!/bin/sh\nshift 2\nexec '${process.execPath}' "$@"\n`)
  write(join(programs, 'llama-server'), SERVER)
  return directory
}

function write(file: string, text: string): void {
  writeFileSync(file, text)
  chmodSync(file, 0o755)
}

/** @param redirection of the shell that starts it */
async function said(t: Test, redirection: string) {
  const port = await ownPort()
  const command = `exec bash '${SCRIPT}' run '${installFake(t)}' ${port} ${redirection}`
  const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (data: string) => {
    text += data
  })
  await eventually(
    () => text,
    (seen) => /ready: .*\n/.test(seen),
  )
  return { text, ready: `ready: http://127.0.0.1:${port}` }
}

t.test('alone on its output, that it is ready is the first line', { skip }, async (t) => {
  const { text, ready } = await said(t, '')
  t.equal(text, `${ready}\n`)
})

t.test('in one file with the server’s log it is a line of its own', { skip }, async (t) => {
  const { text, ready } = await said(t, '2>&1')
  t.match(text, 'loading the mod')
  t.ok(text.split('\n').includes(ready), text)
})
