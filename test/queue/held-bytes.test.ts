import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { createHeldBytes, LARGE_BYTES } from '../../plugins/ollama-proxy/held-bytes.ts'
import { holdBody } from '../../routes/held-body.ts'
import { errorOf, send } from '../support/chat.ts'
import { call } from '../support/hub.ts'
import { ask, chat, setTableByHand, soon, take } from '../support/table.ts'
import { eventually } from '../support/wire.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const MIB = 1024 * 1024
const LONG = 'long '.repeat(MIB / 8)

t.test('the bodies of those who wait fill the memory only so far, and give it back', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { heldBytes: 3 * MIB } })
  const { ollamaProxy } = await table.hub.app
  ask(t, table.chatUrl, chat('held'))
  const first = await table.hands.alice!.next()
  const waits = ask(t, table.chatUrl, chat(LONG))
  const goes = ask(t, table.chatUrl, chat(LONG))
  await take(table.events, 'llm:queued', 2)
  t.ok(ollamaProxy.heldBytes.total > MIB)

  const refused = await send(t, table.chatUrl, chat(LONG))
  t.equal(refused.status, 503)
  t.equal(errorOf(refused).code, 'PTL_TOO_MUCH_HELD')
  t.equal(refused.headers['retry-after'], '5')
  ask(t, table.chatUrl, chat('short'))
  await take(table.events, 'llm:queued', 1)

  goes.leave()
  await table.events.next('llm:cancelled')
  first.response.end('{}')
  ;(await soon(table.hands.alice!.next(), 'the one that waits')).response.end('{}')
  t.equal((await waits.answer).status, 200)
  ;(await soon(table.hands.alice!.next(), 'the short one')).response.end('{}')
  await eventually(() => ollamaProxy.heldBytes.total === 0, 'nothing is held any more')
})

t.test('one sender gets half of what there is', async (t) => {
  const held = createHeldBytes({ limitBytes: 100 })
  const [greedy, other] = [held.hold('greedy'), held.hold('other')]
  t.equal(greedy.take(40), true)
  t.equal(greedy.take(11), false)
  t.equal(held.hold('greedy').take(11), false, 'by another request neither')
  t.equal(other.take(50), true)
  t.equal(held.hold('third').take(11), false, 'there is no more for anybody')
  greedy.release()
  greedy.release()
  t.equal(held.total, 50)
  t.equal(held.hold('third').take(50), true)
})

t.test('where large bodies have filled what is theirs there is room for small ones', async (t) => {
  const limitBytes = 64 * LARGE_BYTES
  const held = createHeldBytes({ limitBytes })
  for (const sender of ['one', 'another']) t.ok(held.hold(sender).take(28 * LARGE_BYTES))
  t.equal(held.hold('third').take(LARGE_BYTES + 1), false)
  t.equal(held.hold('third').take(LARGE_BYTES), true)
})

t.test('names that anybody can have make no other sender', async (t) => {
  const table = await setTableByHand(t, ['alice'], { hub: { heldBytes: 3 * MIB } })
  ask(t, table.chatUrl, chat('held'))
  await table.hands.alice!.next()
  for (let n = 0; n < 2; n++) ask(t, table.chatUrl, chat(LONG))
  await take(table.events, 'llm:queued', 2)
  const { body } = await call<{ key: string }>(
    'POST',
    `${table.base}/keys`,
    { name: 'Ann' },
    { authorization: `Bearer ${table.hostToken}` },
  )
  for (const credential of [table.joined.alice!.token, body.key]) {
    const refused = await send(t, table.chatUrl, chat(LONG), { authorization: `Bearer ${credential}` })
    t.equal(errorOf(refused).code, 'PTL_TOO_MUCH_HELD')
  }
})

t.test('a body in pieces of one byte costs little more than its bytes', async (t) => {
  const body = randomBytes(256 * 1024)
  for (const contentLength of [undefined, String(body.length), String(body.length * 4)]) {
    const stream = new PassThrough()
    const hold = createHeldBytes({ limitBytes: MIB }).hold('somebody')
    const held = new Promise<Buffer | undefined>((resolve, reject) =>
      holdBody(stream, { contentLength, limit: MIB, hold }, (error, whole) =>
        error === null ? resolve(whole) : reject(error),
      ),
    )
    const before = memory()
    for (const byte of body) {
      stream.write(Buffer.from([byte]))
      if (stream.readableLength + stream.writableLength > 256) await setImmediate()
    }
    await setImmediate()
    t.ok(memory() - before < 8 * body.length, contentLength ?? 'of unknown length')
    stream.end()
    t.same((await held)?.subarray(0, body.length), body)
  }
})

/** Collected first: only what is held counts. */
function memory(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
