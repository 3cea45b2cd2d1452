import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startChildHub } from '../support/child-hub.ts'
import { eventually, is, machine } from '../support/cli.ts'
import { call, openRoom } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'

/** As long as a short nap of a laptop: longer than every sign of life may take. */
const STOPPED_MS = 60_000
const BACK_MS = 40_000

const LLM = fileURLToPath(new URL('../support/llm-child.ts', import.meta.url))

async function startLlm(t: Test): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [LLM], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, url: String(line).trim() }
}

async function setUp(t: Test) {
  const hub = await startChildHub(t)
  const { room } = await openRoom(hub.url, { name: 'Kitchen' })
  const llm = await startLlm(t)
  const events = await readEvents(t, `${hub.url}/rooms/${room.code}/events`)
  const alice = machine(t).start([
    'join',
    room.code,
    '--hub',
    hub.url,
    '--endpoint',
    llm.url,
    '--no-specs',
    '--id',
    'alice',
  ])
  await alice.until(is('joined'))
  const base = `${hub.url}/rooms/${room.code}`
  const status = async () => {
    const { body } = await call<{ participant?: { status: string } }>('GET', `${base}/participants/alice`)
    return body.participant?.status
  }
  return { hub, llm, alice, events, status }
}

type Stage = Awaited<ReturnType<typeof setUp>>

async function nap(child: ChildProcess): Promise<void> {
  child.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, STOPPED_MS))
  child.kill('SIGCONT')
}

/** At the same time, each in a kitchen of its own: a minute is long. */
const NAPPERS: Record<string, (stage: Stage) => ChildProcess> = {
  'the participant': ({ alice }) => alice.child,
  'its LLM server': ({ llm }) => llm.child,
  'the hub': ({ hub }) => hub.child,
}

t.test('stopped for a minute', { jobs: 3, timeout: 200_000 }, async (t) => {
  for (const [who, childOf] of Object.entries(NAPPERS)) {
    t.test(`${who}: it is back afterwards, as the same participant`, { buffered: true }, async (t) => {
      const stage = await setUp(t)
      const { alice, events, status } = stage
      const napping = nap(childOf(stage))
      if (who !== 'the hub') await eventually(status, (seen) => seen === 'offline', STOPPED_MS)
      await napping
      await eventually(status, (seen) => seen === 'online', BACK_MS)
      t.equal(alice.child.exitCode, null)
      t.equal(alice.events().filter(is('joined')).length, 1, 'it did not join again')
      t.equal(events.frames.filter(({ event }) => event === 'participant:joined').length, 1)
      alice.child.kill('SIGINT')
      t.equal((await alice.ended).code, 0)
    })
  }
})
