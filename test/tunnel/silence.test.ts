import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { joinByTunnel } from '../support/tunnels.ts'

t.test('what cuts off who reads nothing cuts no tunnel that is merely silent', async (t) => {
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const { url } = await startHub(t, { stallTimeoutMs: 300 })
  const { room } = await openRoom(url)
  await joinByTunnel(t, url, room.code, llm.url)
  await sleep(1500)
  const { status } = await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [] })
  t.equal(status, 200)
})
