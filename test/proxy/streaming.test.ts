import t, { type Test } from 'tap'
import { answerByHand } from '../support/by-hand.ts'
import { open, send } from '../support/chat.ts'
import { answerStream, chunkOf, startStream } from '../support/fake-llm.ts'
import { openKitchen } from '../support/kitchen.ts'

const STREAMED = { model: '*', messages: [], stream: true }

/** A stream whose pieces the test writes; the first is on its way. */
async function openStream(t: Test, first: string | Buffer) {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, STREAMED)
  const { response } = await llm.next()
  startStream(response)
  response.write(first)
  return { response, answer: await coming }
}

t.test('each piece reaches the client before the next is sent', async (t) => {
  const { response, answer } = await openStream(t, chunkOf('word 0'))
  await answer.has(chunkOf('word 0'))
  for (let word = 1; word < 10; word++) {
    response.write(chunkOf(`word ${word}`))
    await answer.has(chunkOf(`word ${word}`))
  }
  response.end()
  t.ok((await answer.ended).complete)
})

t.test('a single byte is passed on as it comes', async (t) => {
  const { response, answer } = await openStream(t, 'd')
  await answer.has('d')
  response.write('a')
  await answer.has('da')
  response.end('ta: {}\n\n')
  t.equal((await answer.ended).text, 'data: {}\n\n')
})

t.test('half a character at the edge of a piece survives', async (t) => {
  const frame = Buffer.from(chunkOf('😀é'))
  const cut = frame.indexOf(Buffer.from('😀')) + 2
  const { response, answer } = await openStream(t, frame.subarray(0, cut))
  await answer.has(frame.subarray(0, cut))
  response.end(frame.subarray(cut))
  t.ok((await answer.ended).body.equals(frame))
})

t.test('a stream whose bytes come one by one survives', async (t) => {
  const frame = Buffer.from(chunkOf('Grüße 😀'))
  const { response, answer } = await openStream(t, frame.subarray(0, 1))
  for (const byte of frame.subarray(1)) await new Promise((resolve) => response.write(Buffer.of(byte), resolve))
  response.end()
  t.ok((await answer.ended).body.equals(frame))
})

t.test('a plain answer is passed on as it comes, too', async (t) => {
  const llm = answerByHand()
  const { chatUrl } = await openKitchen(t, llm.answerer)
  const coming = open(t, chatUrl, { model: '*' })
  const { response } = await llm.next()
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"first":1,')
  const answer = await coming
  await answer.has('{"first":1,')
  response.end('"second":2}')
  t.equal((await answer.ended).text, '{"first":1,"second":2}')
})

t.test('20 streams at the same time arrive each whole and none mixed', async (t) => {
  const { chatUrl } = await openKitchen(t, (request, response) => {
    const { who } = JSON.parse(request.body.toString()) as { who: number }
    return answerStream(
      Array.from({ length: 50 }, (_, word) => `${who}/${word} é😀`),
      { pauseMs: 1 },
    )(request, response)
  })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, who) => send(t, chatUrl, { ...STREAMED, who })))
  for (const [who, { text, complete }] of answers.entries()) {
    const words = Array.from({ length: 50 }, (_, word) => chunkOf(`${who}/${word} é😀`)).join('')
    t.ok(complete && text.startsWith(words) && text.endsWith('data: [DONE]\n\n'), `stream ${who}`)
  }
})

t.test('requests that follow each other on one connection get each its own answer', async (t) => {
  const { chatUrl, llm } = await openKitchen(t, (request, response) => {
    response.end(request.body)
  })
  for (let turn = 0; turn < 20; turn++) {
    const body = JSON.stringify({ model: 'llama3.2:3b', turn })
    const response = await fetch(chatUrl, { method: 'POST', body })
    t.equal(await response.text(), body)
  }
  t.equal(llm.requests.length, 20)
})
