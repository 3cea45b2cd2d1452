import t from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { readEvents } from '../support/sse.ts'
import { framesSoFar, send } from '../support/wire.ts'

/** Line ends of frames, of headers and of JavaScript, and what terminals and logs obey. */
const CONTROLS = ['\n', '\r', '\r\n', '\u0000', '\t', '\u001b', '\u007f', '\u0085', '\u2028', '\u2029']

/** In the name of a test they would forge a line of its report. */
const nameOf = (control: string) => encodeURIComponent(control)

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

t.test("control characters and CR/LF in a room's name are refused", async (t) => {
  const { url } = await startHub(t)
  for (const control of CONTROLS) {
    const { status, body } = await call('POST', `${url}/rooms`, { name: `Kitchen${control}event: forged` })
    t.equal(status, 400, nameOf(control))
    t.match(body.error, /^name must be .* without control characters/)
  }
})

t.test('control characters and CR/LF in any name at join are refused, and nobody hears of them', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(t, `${url}/rooms/${room.code}/events`)
  for (const field of Object.keys(ALICE) as (keyof typeof ALICE)[]) {
    for (const control of CONTROLS) {
      const entry = { ...ALICE, [field]: `${ALICE[field]}${control}data: x` }
      const { status } = await call('POST', `${url}/rooms/${room.code}/join`, entry)
      t.equal(status, 400, `${field} ${nameOf(control)}`)
    }
  }
  t.strictSame(
    (await framesSoFar(url, reader)).map(({ event }) => event),
    ['connected', 'room:created'],
  )
})

t.test('control characters and CR/LF in the names of hardware are refused', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const control of CONTROLS) {
    for (const part of ['gpu', 'cpu']) {
      const entry = { ...ALICE, specs: { [part]: `RTX${control}x` } }
      t.equal((await call('POST', `${url}/rooms/${room.code}/join`, entry)).status, 400, `${part} ${nameOf(control)}`)
    }
  }
})

t.test('control characters in the model of a request are refused before an event carries them', async (t) => {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url)
  await join(url, room.code, { endpoint: llm.url })
  for (const control of CONTROLS.slice(0, 8)) {
    const chat = { model: `llama3.2:3b${control}`, messages: [] }
    const { status } = await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, chat)
    t.equal(status, 400, nameOf(control))
  }
  t.equal(llm.requests.length, 0)
})

t.test('no answer repeats a control character in a header, whatever the path holds', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const paths = [
    '/%0d%0ax-forged:%20yes',
    `/rooms/${room.code}/leave/%0d%0ax-forged:%20yes`,
    '/rooms/%0ax-forged:1/events',
  ]
  for (const path of paths) {
    const { status, headers } = await send('DELETE', `${url}${path}`)
    t.equal(status, 404, path)
    t.notOk('x-forged' in headers)
  }
})

t.test('an id of an event that holds line ends is no id, and forges no frame', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const reader = await readEvents(
    t,
    `${url}/rooms/${room.code}/events?lastEventId=1%0a%0aevent:%20forged%0adata:%20%7b%7d`,
  )
  const frames = await framesSoFar(url, reader)
  t.strictSame(
    frames.map(({ event }) => event),
    ['connected', 'gap', 'room:created'],
  )
})
