// The reference document's example: curl -N http://localhost:3000/rooms/ABC123/events
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, type Joined, openRoom, startHub } from '../support/hub.ts'

const ALICE = { id: '550e8400-e29b-41d4-a716-446655440000', nickname: 'Alice', model: 'llama3.2:3b' }

/** What curl prints, as it prints it. */
function curl(t: Test, url: string) {
  const child = spawn('curl', ['-N', url], { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill())
  child.stdout.setEncoding('utf8')
  let printed = ''
  child.stdout.on('data', (text: string) => {
    printed += text
  })
  async function prints(what: string): Promise<string> {
    while (!printed.includes(what)) await once(child.stdout, 'data')
    return printed
  }
  return { child, prints }
}

t.test("the example's output: connected, participant:joined, llm:request, in frames of its very form", async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url)
  const { prints } = curl(t, `${url}/rooms/${room.code}/events`)
  t.match(await prints('\n\n'), /event: connected\ndata: \{"clientId":"[0-9a-f]{8}-[0-9a-f-]{27}"\}\n\n$/)
  const { body } = await call<Joined>('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, endpoint: llm.url })
  await prints(`event: participant:joined\ndata: ${JSON.stringify(body.participant)}\n\n`)
  await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [] })
  const printed = await prints('event: llm:request\n')
  t.match(printed, `event: llm:request\ndata: {"participantId":"${ALICE.id}","model":"*"`)
})

t.test("the keys of the example's data stand in the example's order, whatever else is there", async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const { prints } = curl(t, `${url}/rooms/${room.code}/events`)
  await prints('event: connected')
  await call<Joined>('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, endpoint: 'http://localhost:11434' })
  const line = (await prints('"lastSeen":')).split('event: participant:joined\n')[1]
  const keys = ['id', 'nickname', 'model', 'endpoint', 'specs', 'config', 'status', 'joinedAt', 'lastSeen']
  t.match(line, new RegExp(`^data: \\{${keys.map((key) => `"${key}":.*`).join('')}`))
})

t.test('curl ends by itself, without an error, when the hub closes', async (t) => {
  const { hub, url } = await startHub(t)
  const { room } = await openRoom(url)
  const { child, prints } = curl(t, `${url}/rooms/${room.code}/events`)
  await prints('event: connected')
  const [[code]] = await Promise.all([once(child, 'close'), hub.close()])
  t.equal(code, 0)
})

t.test("curl on a room that does not exist prints the 404's body and ends", async (t) => {
  const { url } = await startHub(t)
  const { child, prints } = curl(t, `${url}/rooms/ABC123/events`)
  const [printed] = await Promise.all([prints('}'), once(child, 'close')])
  t.strictSame(JSON.parse(printed), { error: 'Room not found' })
})
