// Statements in quotes are those of the reference document of the event stream, "Connect to Events".
import t, { type Test } from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

const CHAT = { model: '*', messages: [] }

/** Two rooms and a watcher in each; in the first one everything happens that can. */
async function spendEvening(t: Test) {
  const [timed, llm] = [await startTimedHub(t), await startFakeLlm(t)]
  const { url } = timed
  const [busy, quiet] = [(await openRoom(url)).room, (await openRoom(url)).room]
  const [inBusy, inQuiet] = [
    await readEvents(t, `${url}/rooms/${busy.code}/events`),
    await readEvents(t, `${url}/rooms/${quiet.code}/events`),
  ]
  await act(timed, `${url}/rooms/${busy.code}`, busy.code, llm.url)
  return { url, inBusy, inQuiet }
}

async function act({ url, pass }: Awaited<ReturnType<typeof startTimedHub>>, base: string, code: string, llm: string) {
  await join(url, code, { endpoint: llm })
  await call('POST', `${base}/v1/chat/completions`, CHAT)
  await join(url, code, { endpoint: 'http://127.0.0.1:1' })
  await call('POST', `${base}/v1/chat/completions`, CHAT)
  await pass(31_000)
  await call('POST', `${base}/health`, { id: 'alice' })
  await call('DELETE', `${base}/leave/alice`)
}

t.test(
  '"Room-specific events: participant:joined, participant:left, participant:offline, llm:request, llm:error"',
  async (t) => {
    const { url, inBusy } = await spendEvening(t)
    const seen = await eventsSoFar(url, inBusy)
    const expected = ['participant:joined', 'participant:left', 'participant:offline', 'llm:request', 'llm:error']
    t.strictSame(
      expected.filter((event) => !seen.includes(event)),
      [],
    )
    t.ok(seen.includes('participant:online') && seen.includes('llm:complete'))
  },
)

t.test('"Clients do not receive events from other rooms."', async (t) => {
  const { url, inQuiet } = await spendEvening(t)
  t.strictSame(await eventsSoFar(url, inQuiet), ['connected'])
})

t.test('"Global events: room:created (all clients)"', async (t) => {
  const { url, inBusy, inQuiet } = await spendEvening(t)
  const { room } = await openRoom(url, { name: 'Attic' })
  for (const reader of [inBusy, inQuiet]) t.equal((await reader.next('room:created')).data?.id, room.id)
})

t.test('the events of one room come in the order in which they happened', async (t) => {
  const { url, inBusy } = await spendEvening(t)
  t.strictSame(await eventsSoFar(url, inBusy), [
    'connected',
    'participant:joined',
    'llm:request',
    'llm:complete',
    'participant:joined',
    'llm:request',
    'llm:error',
    'participant:offline',
    'participant:online',
    'participant:left',
  ])
})

t.test('every subscriber of a room gets the same frames', async (t) => {
  const { url } = await startTimedHub(t)
  const { room } = await openRoom(url)
  const readers = await Promise.all([1, 2, 3].map(() => readEvents(t, `${url}/rooms/${room.code}/events`)))
  await join(url, room.code)
  const frames = await Promise.all(readers.map((reader) => reader.next('participant:joined')))
  t.equal(new Set(frames.map(({ text }) => text)).size, 1)
})
