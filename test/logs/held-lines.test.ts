import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { LogLines } from '../../src/log-lines.ts'

const LOGGER = new URL('../../src/logger.ts', import.meta.url).href

/** A process of its own that logs to its standard output. */
function run(
  t: Test,
  code: string,
  stderr: 'inherit' | 'ignore' | 'pipe' = 'inherit',
  logLevel = 'info',
): ChildProcess {
  const source = `import { createLogger } from ${JSON.stringify(LOGGER)}
const { logger, flush } = await createLogger({ logLevel: '${logLevel}' })
${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['pipe', 'pipe', stderr] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Until there are so many, or the process has ended. */
async function linesOf({ stdout }: ChildProcess, count: number): Promise<string[]> {
  const lines: string[] = []
  for await (const line of createInterface(stdout as Readable)) {
    lines.push(line)
    if (lines.length === count) break
  }
  return lines
}

const KEEP_OPEN = 'process.stdin.resume()'

t.test('a line is written after a while, though nothing follows', async (t) => {
  const lines = await linesOf(run(t, `logger.info({ n: 1 }, 'only'); ${KEEP_OPEN}`), 1)
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ n: 1, msg: 'only', level: 30 }],
  )
})

t.test('many lines are written in their order, each once', async (t) => {
  const lines = await linesOf(run(t, `for (let n = 0; n < 5000; n++) logger.info({ n }, 'é'); ${KEEP_OPEN}`), 5000)
  t.strictSame(
    lines.map((line) => JSON.parse(line).n),
    Array.from({ length: 5000 }, (_, n) => n),
  )
})

t.test('what is held back is written at the end', async (t) => {
  const child = run(t, "logger.info('first'); logger.info('last'); flush(); process.exit()")
  const ended = once(child, 'exit')
  const lines = await linesOf(child, 2)
  await ended
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ msg: 'first' }, { msg: 'last' }],
  )
})

t.test('what is being written when the process leaves is written, and what is behind it', async (t) => {
  const lines = await linesOf(run(t, "for (let n = 0; n < 1000; n++) logger.info({ n }, 'é'); process.exit()"), 1000)
  t.strictSame(
    lines.map((line) => JSON.parse(line).n),
    Array.from({ length: 1000 }, (_, n) => n),
  )
})

t.test('a log that nobody reads takes no more than its share of memory, and says what was lost', async (t) => {
  const LINES = 50_000
  const child = run(
    t,
    `const text = 'rice '.repeat(200)
for (let n = 0; n < ${LINES}; n++) logger.info({ n }, text)
process.stderr.write('all')
${KEEP_OPEN}`,
    'pipe',
  )
  await once(child.stderr as Readable, 'data')
  const seen: number[] = []
  for await (const line of createInterface(child.stdout as Readable)) {
    const { n, lines, msg } = JSON.parse(line)
    if (n === undefined) {
      t.match(msg, /nobody read the log/)
      t.equal(lines + seen.length, LINES)
      break
    }
    seen.push(n)
  }
  t.ok(seen.length < LINES / 2, `${seen.length} lines were kept`)
  t.strictSame(
    seen,
    Array.from(seen, (_, n) => n),
    'the first ones, in their order',
  )
})

t.test('lines that come again behind lost ones say so in their place', async (t) => {
  const child = run(
    t,
    `const text = 'rice '.repeat(200)
for (let n = 0; n < 30_000; n++) logger.info({ n }, text)
process.stdin.once('data', () => {
  let n = 30_000
  setInterval(() => logger.info({ n: n++ }, text), 1)
})
process.stderr.write('all')`,
    'pipe',
  )
  await once(child.stderr as Readable, 'data')
  child.stdin?.write('go on')
  let before = 0
  let lost: number | undefined
  for await (const line of createInterface(child.stdout as Readable)) {
    const { n, lines } = JSON.parse(line)
    if (lines === undefined && lost === undefined) before += 1
    else if (lines !== undefined) lost = lines
    else {
      t.equal(before + (lost ?? 0), n, 'up to the next one')
      break
    }
  }
})

t.test('pino finds nothing to wait for behind a fatal line, while the hub still serves', async (t) => {
  t.notOk('flushSync' in new LogLines())
})

for (const level of ['info', 'error'])
  t.test(`the last word tells what was lost (level: ${level})`, async (t) => {
    const code = `const text = 'rice '.repeat(200)
for (let n = 0; n < 30_000; n++) logger.error({ n }, text)
process.exit()`
    const child = run(t, code, 'inherit', level)
    let kept = 0
    for await (const line of createInterface(child.stdout as Readable)) {
      const { lines } = JSON.parse(line)
      if (lines === undefined) kept += 1
      else t.equal(kept + lines, 30_000)
    }
    t.ok(kept < 30_000)
  })

t.test('what waits when the process leaves is written as long as somebody reads', async (t) => {
  const LINES = 12_000
  const code = `const text = 'rice '.repeat(200)
for (let n = 0; n < ${LINES}; n++) logger.info({ n }, text)
process.exit()`
  const lines = await linesOf(run(t, code), LINES)
  t.strictSame(
    lines.map((line) => JSON.parse(line).n),
    Array.from({ length: LINES }, (_, n) => n),
  )
})

const noFullDisk = process.platform === 'linux' ? false : 'SKIPPED: there is no /dev/full'

t.test('a full disk stops no process, and keeps none from its end', { skip: noFullDisk }, async (t) => {
  const source = `import { createLogger } from ${JSON.stringify(LOGGER)}
const { logger } = await createLogger({ logLevel: 'info' })
for (let n = 0; n < 10_000; n++) logger.info('no room for this')`
  const disk = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(disk))
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', disk, 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  t.strictSame(await once(child, 'exit'), [0, null])
})

const noFifo = process.platform === 'win32' ? 'SKIPPED: there is no sh' : false

t.test('whoever shares the pipe and makes it blocking holds nothing up', { skip: noFifo }, async (t) => {
  const source = `import { spawnSync } from 'node:child_process'
import { createLogger } from ${JSON.stringify(LOGGER)}
const { logger } = await createLogger({ logLevel: 'info' })
spawnSync('true', { stdio: 'inherit' })
for (let n = 0; n < 10_000; n++) logger.info('nobody reads this')
process.stderr.write('still here')
${KEEP_OPEN}`
  const child = spawn('sh', ['-c', '"$NODE" --input-type=module -e "$SOURCE" | sleep 60'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, NODE: process.execPath, SOURCE: source },
    detached: true,
  })
  t.teardown(() => process.kill(-(child.pid as number), 'SIGKILL'))
  const [said] = await once(child.stderr as Readable, 'data')
  t.equal(String(said), 'still here')
})

for (const [ending, code] of [
  ['leaves at once', 'process.exit()'],
  ['has nothing left to do', ''],
  ['fails', "throw new Error('unforeseen')"],
  ['fails in the background', "Promise.reject(new Error('unforeseen'))"],
] as const) {
  t.test(`nothing that was said is lost where the process ${ending}`, async (t) => {
    const lines = await linesOf(run(t, `logger.info('first'); logger.info('last'); ${code}`, 'ignore'), 2)
    t.match(
      lines.map((line) => JSON.parse(line)),
      [{ msg: 'first' }, { msg: 'last' }],
    )
  })
}
