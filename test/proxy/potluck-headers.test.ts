import t, { type Test } from 'tap'
import { send, type WholeAnswer } from '../support/chat.ts'
import { type Answerer, answerPlain, answerStream } from '../support/fake-llm.ts'
import { join } from '../support/hub.ts'
import { openKitchen } from '../support/kitchen.ts'
import { readEvents } from '../support/sse.ts'

const NAMES = ['participant', 'reason', 'queue-ms', 'attempts', 'request-id'].map((name) => `x-potluck-${name}`)
const ORIGIN = { origin: 'http://dashboard.test' }

const ANSWERS: [string, Answerer, object][] = [
  ['a plain answer', answerPlain('Hello'), { model: '*' }],
  ['a streamed answer', answerStream(['Hello']), { model: '*', stream: true }],
  ['an error of the participant', (_request, response) => void response.writeHead(429).end('{}'), { model: '*' }],
  ['an empty answer', (_request, response) => void response.end(), { model: '*' }],
]

for (const [what, answerer, body] of ANSWERS) {
  t.test(`${what} says who gave it and why`, async (t) => {
    const { chatUrl } = await openKitchen(t, answerer)
    const { headers } = await send(t, chatUrl, body)
    t.equal(headers['x-potluck-participant'], 'alice')
    t.match(headers['x-potluck-reason'], /^[a-z-]+$/)
    t.match(headers['x-potluck-queue-ms'], /^\d+(\.\d+)?$/)
    t.equal(headers['x-potluck-attempts'], '1')
    t.match(headers['x-potluck-request-id'], /^[\w-]+$/)
  })

  t.test(`${what} can be read by a browser of another origin, the hub's headers included`, async (t) => {
    const { chatUrl } = await openKitchen(t, answerer)
    const { headers } = await send(t, chatUrl, body, ORIGIN)
    t.equal(headers['access-control-allow-origin'], '*')
    const exposed = String(headers['access-control-expose-headers']).toLowerCase().split(/, */)
    for (const name of [...NAMES, 'retry-after']) t.ok(exposed.includes(name), name)
  })
}

async function isReadable(t: Test, answer: WholeAnswer): Promise<void> {
  t.ok(answer.status >= 400)
  t.equal(answer.headers['access-control-allow-origin'], '*')
}

t.test("the hub's own errors can be read by a browser of another origin", async (t) => {
  const { url, chatUrl } = await openKitchen(t, (_request, response) => void response.destroy())
  await isReadable(t, await send(t, chatUrl, { model: '*' }, ORIGIN))
  await isReadable(t, await send(t, chatUrl, { model: 'gpt-9' }, ORIGIN))
  await isReadable(t, await send(t, chatUrl, '', ORIGIN))
  await isReadable(t, await send(t, `${url}/rooms/NOROOM/v1/chat/completions`, {}, ORIGIN))
})

t.test('a browser may ask before: every header that a client sends is allowed', async (t) => {
  const { chatUrl } = await openKitchen(t)
  const asked = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-stainless-os' }
  const { status, headers } = await fetch(chatUrl, { method: 'OPTIONS', headers: { ...ORIGIN, ...asked } })
  t.equal(status, 204)
  t.match(headers.get('access-control-allow-headers')?.toLowerCase(), /content-type.*authorization.*x-stainless-os/)
  t.match(headers.get('access-control-allow-methods'), 'POST')
})

t.test('why is the same in headers and event', async (t) => {
  const { url, code, chatUrl, eventsUrl, llm } = await openKitchen(t)
  const events = await readEvents(t, eventsUrl)
  const alone = await send(t, chatUrl, { model: '*' })
  t.equal(alone.headers['x-potluck-reason'], (await events.next('llm:request')).data?.reason)
  await join(url, code, { id: 'bob', endpoint: llm.url })
  const chosen = await send(t, chatUrl, { model: '*' })
  t.equal(chosen.headers['x-potluck-reason'], (await events.next('llm:request')).data?.reason)
  t.not(chosen.headers['x-potluck-reason'], alone.headers['x-potluck-reason'], 'a choice has another reason than none')
})

t.test('no two requests have the same id', async (t) => {
  const { chatUrl } = await openKitchen(t)
  const answers = await Promise.all(Array.from({ length: 20 }, () => send(t, chatUrl, { model: '*' })))
  t.equal(new Set(answers.map(({ headers }) => headers['x-potluck-request-id'])).size, 20)
})

t.test('nothing holds the stream back on its way: no buffering proxy, no compression', async (t) => {
  const { chatUrl } = await openKitchen(t, answerStream(['Hello']))
  const { headers } = await send(t, chatUrl, { model: '*', stream: true }, { 'accept-encoding': 'gzip, br' })
  t.equal(headers['x-accel-buffering'], 'no')
  t.notOk('content-encoding' in headers)
})
