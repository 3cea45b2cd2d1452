import t from 'tap'
import { createHeldBytes } from '../../plugins/ollama-proxy/held-bytes.ts'
import { errorOf, send } from '../support/chat.ts'
import { ask, chat, setTableByHand, soon, take } from '../support/table.ts'
import { eventually } from '../support/wire.ts'

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

t.test('one client gets half of what there is', async (t) => {
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
