import { once } from 'node:events'
import t from 'tap'
import { spawnHub, startChildHub } from '../support/child-hub.ts'
import { eventually, is, machine } from '../support/cli.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom } from '../support/hub.ts'
import { kitchen, ollama } from './kit.ts'

t.test('killed, it is offline at once; joined again it is the same, and serves', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join()
  alice.child.kill('SIGKILL')
  await once(alice.child, 'exit')
  const { body } = await eventually(
    () => room.look('alice-ollama'),
    ({ body }) => body.participant.status === 'offline',
    3000,
  )
  t.ok(body.participant.offlineReason)
  await join()
  t.equal((await room.chat()).status, 200)
  const { body: all } = await call<{ participants: unknown[] }>('GET', `${room.base}/participants`)
  t.equal(all.participants.length, 1)
})

t.test('the hub is killed and started again: in the recreated room it is who it was', async (t) => {
  const hub = await startChildHub(t)
  const { port } = new URL(hub.url)
  const llm = await startFakeLlm(t, ollama('a'))
  await openRoom(hub.url, { name: 'Kitchen', code: 'KITCHEN' })
  const args = ['join', 'KITCHEN', '--hub', hub.url, '--endpoint', llm.url, '--no-specs', '--id', 'alice']
  const alice = machine(t).start(args)
  await alice.until(is('joined'))
  hub.child.kill('SIGKILL')
  await alice.until(is('state', { state: 'reconnecting' }))
  const again = spawnHub(t, ['--host', '127.0.0.1', '--port', port])
  await eventually(again.log, (text) => text.includes('"url":"http'))
  await openRoom(hub.url, { name: 'Kitchen again', code: 'KITCHEN' })
  const isBack = (event: Record<string, unknown>) =>
    is('joined')(event) && (event.room as { name: string }).name === 'Kitchen again'
  t.match(await alice.until(isBack, 60_000), { participantId: 'alice' })
  const { body } = await call('POST', `${hub.url}/rooms/KITCHEN/v1/chat/completions`, { model: 'a', messages: [] })
  t.match(body, { choices: [{ message: { content: 'served' } }] })
})

t.test('its server is killed and started again: away, and back', async (t) => {
  const { room, llm, join } = await kitchen(t)
  const alice = await join()
  llm.answer((_request, response) => void response.destroy())
  t.match(await alice.until(is('state', { state: 'away' })), { participantId: 'alice-ollama', reason: String })
  await eventually(
    () => room.look('alice-ollama'),
    ({ body }) => body.participant.status === 'offline',
  )
  t.equal((await room.chat({ model: 'qwen3:8b' })).status, 503)
  llm.answer(ollama('llama3.2:3b'))
  const online = () => alice.events().filter(is('state', { state: 'online' }))
  await eventually(online, ({ length }) => length === 2)
  t.equal((await room.chat()).status, 200)
  t.same((await room.look('alice-ollama')).body.participant.models, ['llama3.2:3b'])
})
