import { once } from 'node:events'
import { request } from 'node:http'
import t from 'tap'
import { createResetPace } from '../../plugins/tunnel/reset-pace.ts'
import { TUNNEL_LIMITS } from '../../schemas/tunnel.ts'
import { chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { joinByTunnel } from '../support/tunnels.ts'
import { eventually } from '../support/wire.ts'

t.test('requests that are taken back in a hurry hold back new ones, in their order', async (t) => {
  let now = 0
  const pace = createResetPace({ burst: 3, perSecond: 100 }, () => now)
  const begun: number[] = []
  for (let taken = 0; taken < 3; taken++) pace.count()
  for (const index of [1, 2]) pace.whenDue(() => begun.push(index))
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.strictSame(begun, [], 'not as long as no time goes by')
  now = 20
  await eventually(() => begun.length > 0, 'they begin')
  t.strictSame(begun, [1, 2])
  pace.whenDue(() => begun.push(3))
  t.equal(begun.length, 3, 'and the next one at once')
  for (let taken = 0; taken < 3; taken++) pace.count()
  pace.whenDue(() => begun.push(4))
  t.equal(begun.length, 3)
  pace.close()
  t.equal(begun.length, 4, 'who waits at the end finds out')
})

t.test('what a hub takes back with everything that may run at once is no flood', async (t) => {
  const { resets, floodOfResets, streams } = TUNNEL_LIMITS
  t.ok(resets.burst + streams < floodOfResets.burst)
  t.ok(resets.perSecond < floodOfResets.perSecond)
})

t.test('a client that asks and goes away, over and over, breaks nobody’s answer off', async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => {
    startStream(response)
    response.write(chunkOf('first'))
  })
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const base = `${url}/rooms/${room.code}`
  const { tunnel, served } = await joinByTunnel(t, url, room.code, llm.url)
  const ask = () => {
    const outgoing = request(`${base}/v1/chat/completions`, { method: 'POST', agent: false })
    outgoing.on('error', () => {}).end(JSON.stringify({ model: 'alice', stream: true, messages: [] }))
    t.teardown(() => outgoing.destroy())
    return outgoing
  }
  let isBroken = false
  const [running] = await once(ask(), 'response')
  running.once('close', () => {
    isBroken = true
  })
  let left = 2 * TUNNEL_LIMITS.floodOfResets.burst
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      while (left-- > 0 && !isBroken) {
        const outgoing = ask()
        const answer = await Promise.race([once(outgoing, 'response'), new Promise((done) => setTimeout(done, 100))])
        outgoing.destroy()
        if (Array.isArray(answer)) answer[0].on('error', () => {})
      }
    }),
  )
  t.equal(isBroken, false, 'who only reads goes on reading')
  const { body } = await call<{ participants: { status: string }[] }>('GET', `${base}/participants`)
  t.not(body.participants[0]?.status, 'offline')
  t.ok(served.length > TUNNEL_LIMITS.resets.burst, 'many had begun')
  await eventually(() => tunnel.inFlight === 1, 'nothing else runs', 30_000)
})
