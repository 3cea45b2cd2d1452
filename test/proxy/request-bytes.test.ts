import fc from 'fast-check'
import t, { type Test } from 'tap'
import { send } from '../support/chat.ts'
import { openKitchen } from '../support/kitchen.ts'
import { SEED } from '../support/property.ts'

/** What reaches the participant of each body. */
async function forwarder(t: Test) {
  const { chatUrl, llm } = await openKitchen(t)
  return async (body: string | Buffer): Promise<Buffer> => {
    const { status, text } = await send(t, chatUrl, body)
    if (status !== 200) throw new Error(`${status} ${text}`)
    return llm.requests.pop()!.body
  }
}

const SAME = [
  '{"model":"llama3.2:3b","messages":[{"role":"user","content":"hi"}]}',
  '{"n":1e400,"m":-1E-400,"zero":-0.0,"one":1.0,"big":12345678901234567890,"model":"llama3.2:3b"}',
  '{"z":1,"a":2,"10":3,"2":4,"model":"llama3.2:3b","":5}',
  '{"text":"\\u00e9\\ud83d\\ude00\\/ é😀 \\ud800","model":"llama3.2:3b"}',
  '{"temperature":1,"temperature":2,"model":"llama3.2:3b"}',
  ' \r\n\t{ "model" :\n"llama3.2:3b" , "messages" : [ ] }\n\n',
  '{"__proto__":{"model":"x"},"constructor":null,"model":"llama3.2:3b"}',
]

t.test('a body that needs nothing goes on to the byte', async (t) => {
  const forward = await forwarder(t)
  for (const body of SAME) t.equal((await forward(body)).toString(), body)
})

t.test("the model's name is replaced where it stands, and nothing else changes", async (t) => {
  const forward = await forwarder(t)
  const around = (model: string) =>
    `{ "seed":1e400,\t"model" : ${model} ,"a":{"model":"*"},"s":"\\"model\\":\\"*\\"" }\n`
  for (const model of ['"*"', '"any"', 'null', '""', '"\\u002a"', '"alice"']) {
    t.equal((await forward(around(model))).toString(), around('"llama3.2:3b"'), model)
  }
})

t.test('a key that is written with escapes is the same key', async (t) => {
  const forward = await forwarder(t)
  t.equal((await forward('{"mod\\u0065l":"*","n":1}')).toString(), '{"mod\\u0065l":"llama3.2:3b","n":1}')
})

t.test('a missing model is added, and the rest stays to the byte', async (t) => {
  const forward = await forwarder(t)
  for (const rest of [' "n" : 1e400 , "messages":[ ] } ', '"a":"\\u00e9"}', '}', ' \n }']) {
    const body = (await forward(`{${rest}`)).toString()
    t.ok(body.endsWith(rest), rest)
    t.equal((JSON.parse(body) as { model: string }).model, 'llama3.2:3b')
  }
})

t.test('bytes that are no UTF-8 go on as they are', async (t) => {
  const forward = await forwarder(t)
  const odd = Buffer.from([0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80])
  const body = Buffer.concat([Buffer.from('{"text":"'), odd, Buffer.from('","model":"llama3.2:3b"}')])
  t.ok((await forward(body)).equals(body))
})

t.test('a picture of 20 MB goes on to the byte', async (t) => {
  const forward = await forwarder(t)
  const body = (model: string) => `{"image":"${'iVBORw0KGgo='.repeat(1_750_000)}","model":"${model}"}`
  t.ok((await forward(body('*'))).equals(Buffer.from(body('llama3.2:3b'))))
})

t.test('text full of quotes and backslashes is not mistaken for structure', async (t) => {
  const forward = await forwarder(t)
  for (const length of [1, 62, 63, 64, 65, 66, 127, 128, 129, 1000]) {
    const text = JSON.stringify(`${'x'.repeat(length)}"\\","model":"*"${'\\"'.repeat(length)}\\`)
    t.equal((await forward(`{"text":${text},"model":"*"}`)).toString(), `{"text":${text},"model":"llama3.2:3b"}`)
  }
})

t.test('a body sent in chunks of unknown length goes on as a whole', async (t) => {
  const { chatUrl, llm } = await openKitchen(t)
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of ['{"mo', 'del":"', '*"', '}']) controller.enqueue(Buffer.from(piece))
      controller.close()
    },
  })
  const init = { method: 'POST', body: stream, duplex: 'half', headers: { 'content-type': 'application/json' } }
  const response = await fetch(chatUrl, init as RequestInit)
  t.equal(response.status, 200)
  t.equal(llm.requests[0]!.body.toString(), '{"model":"llama3.2:3b"}')
})

t.test('whatever JSON a client makes up means the same to the participant', async (t) => {
  const forward = await forwarder(t)
  const anyBody = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 }), { maxKeys: 6 })
  const anySpace = fc.constantFrom(undefined, 1, '\t', ' \n')
  const keepsMeaning = fc.asyncProperty(anyBody, anySpace, async ({ model: _, ...body }, space) => {
    const forwarded = JSON.parse((await forward(JSON.stringify({ ...body, model: 'any' }, null, space))).toString())
    t.strictSame(forwarded, JSON.parse(JSON.stringify({ ...body, model: 'llama3.2:3b' })))
  })
  await fc.assert(keepsMeaning, { seed: SEED, numRuns: 60 })
})
