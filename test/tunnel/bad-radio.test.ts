import t from 'tap'
import { answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { joinByTunnel, startCable } from '../support/tunnels.ts'

/** As over two thin walls. */
const RADIO = { delayMs: 200, loss: 0.05, resendMs: 400 }

t.test('200 ms of delay and 5 % loss: answers come late, whole, and beside each other', async (t) => {
  const words = Array.from({ length: 40 }, (_, index) => `word-${index} `)
  const llm = await startFakeLlm(t, answerStream(words))
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { hub } = await startCable(t, url, RADIO)
  await joinByTunnel(t, url, room.code, llm.url, {}, { hub })
  const ask = async () => {
    const body = JSON.stringify({ model: '*', stream: true, messages: [{ role: 'user', content: 'Hello' }] })
    return (await fetch(`${url}/rooms/${room.code}/v1/chat/completions`, { method: 'POST', body })).text()
  }
  const answers = await Promise.all(Array.from({ length: 10 }, ask))
  for (const answer of answers) {
    t.ok(words.every((word) => answer.includes(word)))
    t.match(answer, /data: \[DONE\]\s*$/)
  }
  const { body } = await call('GET', `${url}/rooms/${room.code}/participants`)
  t.match(body, { participants: [{ status: 'online' }] })
})
