import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const HUB = fileURLToPath(new URL('../../src/hub.ts', import.meta.url))

/** A program of three lines that opens a hub, asks it something and closes it. */
const PROGRAM = `
const { createHub } = await import(process.argv[1])
const hub = createHub({ host: '127.0.0.1', port: 0 })
const url = await hub.listen()
await (await fetch(url + '/rooms')).text()
await (await fetch(url + '/rooms/ABC234/participants')).text()
await hub.close()
`

t.test('a hub within a program logs nothing unless it is given a logger, and lets the program end', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM, HUB], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill())
  let printed = ''
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
  }
  const [code] = await once(child, 'close')
  t.equal(code, 0)
  t.equal(printed, '')
})
