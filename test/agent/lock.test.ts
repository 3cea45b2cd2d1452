import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { takeLock } from '../../src/agent/lock.ts'

t.test('of a process that had the same id before nothing is left but the file', async (t) => {
  const file = join(t.testdir(), 'held.lock')
  await writeFile(file, String(process.pid))
  const lock = await takeLock(file)
  await t.rejects(takeLock(file), { name: 'Locked', pid: process.pid })
  await lock.release()
  await (await takeLock(file)).release()
})

t.test('what a crash has left at a bad moment holds nobody up for long', async (t) => {
  const file = join(t.testdir(), 'held.lock')
  await writeFile(file, 'no number')
  await (await takeLock(file)).release()
  await writeFile(file, '4194999')
  await writeFile(`${file}.takeover`, '4194998')
  await t.rejects(takeLock(file), { name: 'Locked' }, 'somebody may be at it')
  await utimes(`${file}.takeover`, 0, 0)
  await t.rejects(takeLock(file), { name: 'Locked' })
  await (await takeLock(file)).release()
})

t.test('of many that find the holder dead one takes it over', async (t) => {
  const directory = t.testdir({
    'taker.mjs': `
      import { takeLock } from ${JSON.stringify(join(import.meta.dirname, '../../src/agent/lock.ts'))}
      process.on('message', async ({ file }) => {
        const got = await takeLock(file).then(() => true, () => false)
        process.send({ got })
      })
      process.send('ready')
    `,
  })
  const takers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = fork(join(directory, 'taker.mjs'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
      t.teardown(() => child.kill())
      await once(child, 'message')
      return child
    }),
  )
  for (let round = 0; round < 50; round++) {
    const file = join(directory, `${round}.lock`)
    await writeFile(file, '4194999')
    const answers = takers.map(async (child) => {
      const answer = once(child, 'message')
      child.send({ file })
      const [{ got }] = (await answer) as [{ got: boolean }]
      return got ? child.pid : undefined
    })
    const winners = (await Promise.all(answers)).filter((pid) => pid !== undefined)
    t.strictSame(winners, [Number(await readFile(file, 'utf8'))])
  }
})
