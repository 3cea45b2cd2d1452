import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'

const LOGGER = new URL('../../src/logger.ts', import.meta.url).href

/** A process of its own that logs to its standard output. */
function run(t: Test, code: string, stderr: 'inherit' | 'ignore' = 'inherit'): ChildProcess {
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
