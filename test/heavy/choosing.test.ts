import t, { type Test } from 'tap'
import { send } from '../support/chat.ts'
import { join, openRoom, startHub } from '../support/hub.ts'
import { startLlama } from '../support/llama.ts'
import { readEvents } from '../support/sse.ts'
import { ask, framesOf, take } from '../support/table.ts'

const { LLAMA_DIR } = process.env
const WHY_NOT = 'LLAMA_DIR is not set: run `bash test/llm/llama-server.sh install DIR`, then set it to DIR'

const MODEL = 'potluck-test'

/** Some hundred tokens, and unlike any other's. */
const story = (name: string) => `${name} cooks soup and salad for ${name} and ${name}. `.repeat(30)

interface Turn {
  role: 'user' | 'assistant'
  content: string
}

interface Said {
  choices: { message: Turn }[]
  timings: { cache_n: number }
}

async function openTable(t: Test, urls: readonly string[]) {
  const { url } = await startHub(t, { maxAttempts: 3, learnIntervalMs: 50, defaultSlots: 1 })
  const { room } = await openRoom(url)
  for (const [index, endpoint] of urls.entries())
    await join(url, room.code, { id: `cook-${index}`, model: MODEL, endpoint })
  const base = `${url}/rooms/${room.code}`
  const events = await readEvents(t, `${base}/events`)
  return { events, chatUrl: `${base}/v1/chat/completions` }
}

const request = (messages: readonly Turn[], more: object = {}) => ({
  model: MODEL,
  messages,
  seed: 1,
  max_tokens: 8,
  ...more,
})

t.test('with real llama.cpp servers', { skip: LLAMA_DIR === undefined ? WHY_NOT : false }, async (t) => {
  const llamas = [await startLlama(t, LLAMA_DIR ?? ''), await startLlama(t, LLAMA_DIR ?? '')]

  t.test('their slots are learnt: two run, the third waits', async (t) => {
    const { chatUrl, events } = await openTable(t, [llamas[0]!.url])
    // What the server tells is known by the time that it has answered once.
    await send(t, chatUrl, request([{ role: 'user', content: 'Hello' }]))
    await take(events, 'llm:complete', 1)
    await events.next('llm:request')
    const long = request([{ role: 'user', content: 'Hello' }], { stream: true, max_tokens: 1500, ignore_eos: true })
    const asked = [ask(t, chatUrl, long), ask(t, chatUrl, long), ask(t, chatUrl, long)]
    await take(events, 'llm:request', 2)
    t.match((await events.next('llm:queued')).data, { position: 1 })
    const slots = await llamas[0]!.slots()
    t.equal(slots.length, 2)
    for (const { leave } of asked) leave()
    await take(events, 'llm:cancelled', 3)
    t.equal(framesOf(events, 'llm:request').length, 3, 'the third never ran')
  })

  t.test('a conversation goes back to where it is warm', async (t) => {
    const { chatUrl, events } = await openTable(
      t,
      llamas.map(({ url }) => url),
    )
    const hello = [{ role: 'user' as const, content: 'Hello' }]
    for (let sent = 0; sent < 2; sent++) await send(t, chatUrl, request(hello))
    await take(events, 'llm:complete', 2)

    for (const name of ['Ann', 'Bob', 'Cyd']) {
      const turn: Turn = { role: 'user', content: story(name) }
      const first = await send(t, chatUrl, request([turn]))
      const at = first.headers['x-potluck-participant']
      const { choices } = JSON.parse(first.text) as Said
      const next = request([turn, choices[0]!.message, { role: 'user', content: 'And then?' }])
      const other = llamas[at === 'cook-0' ? 1 : 0]!
      const second = await send(t, chatUrl, next)
      t.match(second.headers, { 'x-potluck-participant': at, 'x-potluck-reason': 'warm' })
      const elsewhere = await send(t, `${other.url}/v1/chat/completions`, next)
      const [warm, cold] = [second, elsewhere].map(({ text }) => (JSON.parse(text) as Said).timings.cache_n)
      t.ok((warm as number) > (cold as number) + 100, `${warm} tokens were in the cache there, ${cold} elsewhere`)
    }
  })
})
