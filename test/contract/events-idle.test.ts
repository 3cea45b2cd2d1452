import t from 'tap'
import { readConfig } from '../../src/config.ts'
import { join, openRoom, startHub } from '../support/hub.ts'
import { type EventReader, readEvents } from '../support/sse.ts'
import { eventually } from '../support/wire.ts'

/** Idle streams of the reference are cut after ten seconds. */
const REFERENCE_CUT_MS = 10_000

function commentsOf({ frames }: EventReader): number {
  return frames.filter(({ event, text }) => event === undefined && text.startsWith(':')).length
}

t.test('a comment line keeps proxies and dead peers honest, on both kinds of stream', async (t) => {
  const { url } = await startHub(t, { eventKeepAliveMs: 20 })
  const { room } = await openRoom(url)
  for (const path of [`/rooms/${room.code}/events`, '/events']) {
    const reader = await readEvents(t, `${url}${path}`)
    await eventually(() => commentsOf(reader) >= 3, `three comments on ${path}`)
  }
})

t.test('the comment line comes every 15 s, unless set otherwise', async (t) => {
  t.equal(readConfig().eventKeepAliveMs, 15_000)
})

t.test('a comment is no event, and events go on between comments', async (t) => {
  const { url } = await startHub(t, { eventKeepAliveMs: 10 })
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await eventually(() => commentsOf(reader) >= 2, 'two comments')
  await join(url, room.code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})

t.test('what cuts off who reads nothing cuts no stream that is merely silent', async (t) => {
  const { url } = await startHub(t, { eventKeepAliveMs: 60_000, stallTimeoutMs: 300 })
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await join(url, room.code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})

t.test('by default 10 minutes of silence break neither events nor inference', async (t) => {
  const { eventKeepAliveMs, firstByteTimeoutMs, idleTimeoutMs } = readConfig()
  t.ok(eventKeepAliveMs < 60_000, 'an event stream is never silent for a minute')
  t.ok(firstByteTimeoutMs > 600_000)
  t.ok(idleTimeoutMs > 600_000)
})

t.test('a stream that has been silent for eleven seconds still delivers', { timeout: 30_000 }, async (t) => {
  const { url } = await startHub(t, { eventKeepAliveMs: 60_000 })
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  await new Promise((resolve) => setTimeout(resolve, REFERENCE_CUT_MS + 1000))
  t.equal(commentsOf(reader), 0, 'it was silent indeed')
  await join(url, room.code)
  t.equal((await reader.next('participant:joined')).data?.id, 'alice')
})
