import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FrameSink, MOST_HELD_CHARS } from '../../routes/sse.ts'

/** A response to a real client, and how it is written to. */
async function open(t: Test) {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close().closeAllConnections())
  await once(server, 'listening')
  const client = get({ port: (server.address() as AddressInfo).port, agent: false }).on('error', () => {})
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse]
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  const [incoming] = (await once(client, 'response')) as [IncomingMessage]
  incoming.on('error', () => {})
  const writes: string[] = []
  const { write } = response
  response.write = ((chunk: string) => {
    writes.push(chunk)
    return Reflect.apply(write, response, [chunk])
  }) as typeof write
  return { response, incoming, writes, sink: new FrameSink(response) }
}

t.test('frames of one turn leave together, in their order', async (t) => {
  const { sink, incoming, writes } = await open(t)
  for (const frame of ['a\n\n', 'b\n\n', 'é\n\n']) t.equal(sink.write(frame), true)
  t.strictSame(writes, [], 'nothing yet')
  const [read] = await once(incoming.setEncoding('utf8'), 'data')
  t.equal(read, 'a\n\nb\n\né\n\n')
  t.strictSame(writes, ['a\n\nb\n\né\n\n'])
  sink.write('c\n\n')
  await nextTurn()
  t.equal(writes.length, 2, 'the next turn has a write of its own')
})

t.test('no more is held back than its bound', async (t) => {
  const { sink, writes } = await open(t)
  const frame = 'x'.repeat(MOST_HELD_CHARS / 4)
  for (let count = 0; count < 5; count++) sink.write(frame)
  t.equal(writes.length, 1, 'it went out within the turn')
  await nextTurn()
  t.equal(writes.length, 1, 'and nothing is left')
})

t.test('whoever does not read is told of, and goes on once they do', async (t) => {
  const { sink, incoming, writes, response } = await open(t)
  incoming.pause()
  const frame = 'x'.repeat(MOST_HELD_CHARS + 1)
  let frames = 0
  while (frames < 10_000 && sink.write(frame)) frames += 1
  t.ok(frames < 10_000, `behind after ${frames} frames`)
  t.equal(response.writableNeedDrain, true)
  const drained = once(response, 'drain')
  incoming.resume()
  await drained
  t.equal(sink.write('on\n\n'), true)
  sink.end('bye')
  await once(incoming, 'end')
  t.equal(writes.at(-1), 'on\n\n', 'what was held went before the end')
})

t.test('a client that has gone is written to no more', async (t) => {
  const { sink, incoming, writes, response } = await open(t)
  sink.write('a\n\n')
  incoming.destroy()
  await once(response, 'close')
  const before = writes.length
  sink.write('b\n\n')
  await nextTurn()
  t.equal(writes.length, before)
})
