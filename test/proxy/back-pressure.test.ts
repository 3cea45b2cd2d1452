import t from 'tap'
import { send, within } from '../support/chat.ts'
import { answerPlain } from '../support/fake-llm.ts'
import { answerFlood, askWithoutReading, FLOOD_BYTES, MIB, readOn, wholeFlood } from '../support/flood.ts'
import { openKitchen } from '../support/kitchen.ts'

/** What one stalled reader may take up along the way: the buffers of four sockets, and a little of the hub. */
const MOST_BYTES = 32 * MIB

t.test('a client that stops reading makes the participant stop sending', async (t) => {
  const flood = answerFlood()
  const { chatUrl } = await openKitchen(t, flood.answerer)
  askWithoutReading(t, chatUrl)
  const taken = await flood.standstill()
  t.ok(taken < MOST_BYTES, `${Math.round(taken / MIB)} of ${FLOOD_BYTES / MIB} MiB were taken`)
})

t.test('a client that stops reading costs the hub no memory that grows', async (t) => {
  const flood = answerFlood()
  const { chatUrl } = await openKitchen(t, flood.answerer)
  const before = process.memoryUsage().arrayBuffers
  askWithoutReading(t, chatUrl)
  await flood.standstill()
  t.ok(process.memoryUsage().arrayBuffers - before < 16 * MIB)
})

t.test('a client that reads on gets every byte', async (t) => {
  const flood = answerFlood()
  const { chatUrl } = await openKitchen(t, flood.answerer)
  const socket = askWithoutReading(t, chatUrl)
  await flood.standstill()
  t.ok((await readOn(socket)).equals(wholeFlood()))
})

t.test('others are served while one does not read', async (t) => {
  const flood = answerFlood()
  const { chatUrl, llm } = await openKitchen(t, flood.answerer)
  askWithoutReading(t, chatUrl)
  await flood.standstill()
  llm.answer(answerPlain('quick'))
  const answers = Promise.all(Array.from({ length: 20 }, () => send(t, chatUrl, { model: '*' })))
  for (const { text } of await within(answers, 15_000, 'twenty answers')) t.match(text, 'quick')
})

t.test('a client that leaves without having read ends the request at the participant', async (t) => {
  const flood = answerFlood()
  const { chatUrl, llm } = await openKitchen(t, flood.answerer)
  const socket = askWithoutReading(t, chatUrl)
  await flood.standstill()
  socket.destroy()
  await within(llm.requests[0]!.closed, 10_000, 'the participant sees its socket closed')
  t.ok(llm.requests[0]!.aborted)
})

t.test('a client that does not read is not taken for a participant that fell silent', async (t) => {
  const flood = answerFlood()
  const { chatUrl } = await openKitchen(t, flood.answerer, { hub: { idleTimeoutMs: 100 } })
  const socket = askWithoutReading(t, chatUrl)
  await flood.standstill()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  t.ok((await readOn(socket)).equals(wholeFlood()))
})
