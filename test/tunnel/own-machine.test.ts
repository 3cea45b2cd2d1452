import t from 'tap'
import { until } from '../support/dispatching.ts'
import { answerNever, answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, type Joined, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { openTunnel, untilStatus } from '../support/tunnels.ts'

const LAPTOP = '10.0.0.5'

t.test('who shares a machine by a tunnel comes first on it', async (t) => {
  const order: string[] = []
  let release = () => {}
  const llm = await startFakeLlm(t, async (request, response) => {
    order.push((JSON.parse(request.body.toString()) as { user: string }).user)
    if (order.length === 1)
      await new Promise<void>((resolve) => {
        release = resolve
      })
    await answerPlain('Beans')(request, response)
  })
  const { url } = await startHub(t, { trustedProxies: ['127.0.0.1'] })
  const { room } = await openRoom(url)
  const base = `${url}/rooms/${room.code}`
  // Where all belong to one, nobody comes first.
  const other = await startFakeLlm(t, answerNever)
  for (const [id, from, endpoint] of [
    ['alice', LAPTOP, llm.url],
    ['bob', '10.0.0.6', other.url],
  ] as const) {
    const entry = { id, nickname: id, model: 'beans', tunnel: true, slots: 1 }
    const { body } = await call<Joined>('POST', `${base}/join`, entry, { 'x-forwarded-for': from })
    await openTunnel(t, url, room.code, { token: body.token, endpoint })
    await untilStatus(url, room.code, id, (status) => status === 'online')
  }
  const events = await readEvents(t, `${base}/events`)
  const ask = (user: string, from: string) =>
    call('POST', `${base}/v1/chat/completions`, { model: 'beans', messages: [], user }, { 'x-forwarded-for': from })
  void ask('nobody', '10.0.0.7').catch(() => {})
  void ask('nobody', '10.0.0.8').catch(() => {})
  await until(() => order.length === 1 && other.requests.length === 1, 'both are busy')
  const answers = []
  answers.push(ask('guest', '10.0.0.9'))
  await events.next('llm:queued')
  answers.push(ask('owner', LAPTOP))
  await events.next('llm:queued')
  release()
  await Promise.all(answers)
  t.strictSame(order, ['nobody', 'owner', 'guest'])
})
