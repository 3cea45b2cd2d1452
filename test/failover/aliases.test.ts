import t from 'tap'
import { send } from '../support/chat.ts'
import { type Answerer, answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'
import { attemptsOf, chat, MODEL, setTable, soon } from '../support/table.ts'

const later =
  (seconds: number): Answerer =>
  (_request, response) =>
    void response.writeHead(429, { 'retry-after': String(seconds) }).end('{"error":"later"}')

t.test('an alias goes on to its next model at once where the first asks for a long pause', async (t) => {
  const table = await setTable(t, { alice: later(60) })
  const bob = await startFakeLlm(t, answerPlain('from Bob'))
  await join(table.url, table.code, { id: 'bob', model: 'mistral', endpoint: bob.url })
  await call('PATCH', table.base, { aliases: { best: [MODEL, 'mistral'] } }, bearer(table.hostToken))
  const answer = await soon(
    send(t, table.chatUrl, chat('Hello', { model: 'best' })),
    'the answer, long before a minute',
  )
  t.match(answer, { status: 200, headers: { 'x-potluck-participant': 'bob', 'x-potluck-attempts': '2' } })
  t.strictSame(attemptsOf(table), ['alice', 'bob'])
})

t.test('where it asks for a short one, that is waited for', async (t) => {
  let isBack = false
  const table = await setTable(t, {
    alice(request, response) {
      if (isBack) return answerPlain('from Alice')(request, response)
      isBack = true
      response.writeHead(429, { 'retry-after-ms': '100' }).end('{"error":"later"}')
    },
  })
  const bob = await startFakeLlm(t, answerPlain('from Bob'))
  await join(table.url, table.code, { id: 'bob', model: 'mistral', endpoint: bob.url })
  await call('PATCH', table.base, { aliases: { best: [MODEL, 'mistral'] } }, bearer(table.hostToken))
  t.match(await send(t, table.chatUrl, chat('Hello', { model: 'best' })), {
    headers: { 'x-potluck-participant': 'alice' },
  })
})

t.test('more models than a room remembers are served all the same, and those of before again', async (t) => {
  const models = Array.from({ length: 60 }, (_, index) => `model-${index}`)
  const table = await setTable(t, { alice: answerPlain('Soup') }, { join: { models, slots: 1 } })
  for (let more = 1; more < 5; more++)
    await join(table.url, table.code, {
      id: `alice-${more}`,
      endpoint: table.llms.alice!.url,
      slots: 1,
      models: models.map((name) => `${name}-${more}`),
    })
  const names = ['', '-1', '-2', '-3', '-4'].flatMap((end) => models.map((name) => `${name}${end}`))
  t.equal(names.length, 300)
  for (const model of [...names, ...names.slice(0, 5)])
    t.equal((await send(t, table.chatUrl, chat('Hello', { model }))).status, 200, model)
})
