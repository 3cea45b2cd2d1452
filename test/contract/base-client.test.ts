import t from 'tap'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'

/** As the reference's client asks: always a JSON content type, no token, and it reads nothing but the base's fields. */
async function ask<T>(method: string, url: string, body?: object): Promise<T> {
  const init: RequestInit = { method, headers: { 'Content-Type': 'application/json' } }
  if (body !== undefined) init.body = JSON.stringify(body)
  const response = await fetch(url, init)
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}`)
  return (await response.json()) as T
}

t.test('a client written for the base keeps working in an open room: a whole evening', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t, answerPlain('Hello'))]
  const { room } = await ask<{ room: { code: string } }>('POST', `${url}/rooms`, { name: 'Kitchen' })
  const base = `${url}/rooms/${room.code}`
  const reader = await readEvents(t, `${base}/events`)
  const id = crypto.randomUUID()
  const alice = { id, nickname: 'Alice', model: 'llama3.2:3b', endpoint: `${llm.url}/v1`, specs: {}, config: {} }
  await ask('POST', `${base}/join`, alice)
  await ask('POST', `${base}/health`, { id })
  const { data } = await ask<{ data: { id: string }[] }>('GET', `${base}/v1/models`)
  t.ok(data.some((model) => model.id === id))
  const chat = { model: id, messages: [{ role: 'user', content: 'Hi' }] }
  const answer = await ask<{ choices: { message: { content: string } }[] }>('POST', `${base}/v1/chat/completions`, chat)
  t.equal(answer.choices[0]?.message.content, 'Hello')
  t.strictSame(await ask('DELETE', `${base}/leave/${id}`), { success: true })
  t.equal((await reader.next('participant:left')).data?.participantId, id)
})
