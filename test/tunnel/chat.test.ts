import OpenAI from 'openai'
import t from 'tap'
import { answerPlain, answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { joinByTunnel, joinTunnelled } from '../support/tunnels.ts'

t.test('a participant behind a tunnel answers OpenAI’s own client, streamed and not', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { served } = await joinByTunnel(t, url, room.code, llm.url)
  const client = new OpenAI({ baseURL: `${url}/rooms/${room.code}/v1`, apiKey: 'none', maxRetries: 0 })
  const ask = { model: 'llama3.2:3b', messages: [{ role: 'user' as const, content: 'What goes with rice?' }] }
  const whole = await client.chat.completions.create(ask)
  t.equal(whole.choices[0]?.message.content, 'Beans')
  llm.answer(answerStream(['Be', 'ans']))
  let text = ''
  for await (const chunk of await client.chat.completions.create({ ...ask, stream: true }))
    text += chunk.choices[0]?.delta.content ?? ''
  t.equal(text, 'Beans')
  t.match(served, [
    { path: '/v1/chat/completions', status: 200, outcome: 'done', outputTokens: 3 },
    { path: '/v1/chat/completions', status: 200, outcome: 'done', outputTokens: 3 },
  ])
})

t.test('a tunnelled participant is offline until its tunnel stands, and shows it', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { participant } = await joinTunnelled(url, room.code)
  t.match(participant, { status: 'offline', endpoint: 'tunnel:alice', offlineReason: 'Its tunnel is not open yet' })
  const ask = { model: 'llama3.2:3b', messages: [] }
  const { status } = await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, ask)
  t.equal(status, 503)
  const beat = await call('POST', `${url}/rooms/${room.code}/health`, { id: 'alice' })
  t.equal(beat.status, 200)
  const { body } = await call('GET', `${url}/rooms/${room.code}/participants`)
  t.match(body, { participants: [{ status: 'offline' }] }, 'a heartbeat is no tunnel')
})
