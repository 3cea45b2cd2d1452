import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import t, { type Test } from 'tap'

const LOGGER = new URL('../../src/logger.ts', import.meta.url).href

/** A process of its own that logs to its standard output. */
function run(t: Test, code: string, stderr: 'inherit' | 'ignore' | 'pipe' = 'inherit'): ChildProcess {
  const source = `import { createLogger } from ${JSON.stringify(LOGGER)}
const { logger, flush } = await createLogger({ logLevel: 'info' })
${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['pipe', 'pipe', stderr] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

/** Until there are so many, or the process has ended. */
async function linesOf({ stdout }: ChildProcess, count: number): Promise<string[]> {
  let text = ''
  for await (const chunk of stdout as NonNullable<typeof stdout>) {
    text += String(chunk)
    if (text.split('\n').length > count) break
  }
  return text.trimEnd().split('\n')
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
