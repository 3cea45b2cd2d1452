import { Ollama } from 'ollama'
import t, { type Test } from 'tap'
import { openClientKitchen, PASSWORD, REAL_MODEL } from '../support/clients.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { join, openRoom } from '../support/hub.ts'
import type { KitchenOptions } from '../support/kitchen.ts'
import { answerLists, answerSaid, DETAILS, type OllamaHost, tagOf } from '../support/ollama-answers.ts'

const LOADED = { ...tagOf(REAL_MODEL, 2000), expires_at: '2026-01-01T12:05:00Z', size_vram: 1500, context_length: 4096 }

const ALICE: OllamaHost = {
  version: '0.12.6',
  tags: [tagOf(REAL_MODEL, 2000), tagOf('secret:latest', 1)],
  running: [LOADED],
}
const BOB: OllamaHost = { version: '0.9.12', tags: [tagOf('mistral:7b', 4000)] }

/** Alice and Bob with Ollama, Carol with a server that knows nothing of it. */
async function openThree(t: Test, options: KitchenOptions = {}) {
  const kitchen = await openClientKitchen(t, answerLists(ALICE), options)
  const [bobs, carols] = [await startFakeLlm(t, answerLists(BOB)), await startFakeLlm(t, answerLists({ version: '' }))]
  const { password } = { password: null, ...options.participant }
  const others = { password, manage: null }
  await join(kitchen.url, kitchen.code, { ...others, id: 'bob', model: 'mistral:7b', endpoint: bobs.url })
  await join(kitchen.url, kitchen.code, { ...others, id: 'carol', model: 'phi', endpoint: carols.url })
  return kitchen
}

/** Where the client can be pointed to: what it makes of the host's path is its own. */
const HOSTS: Record<string, (kitchen: { url: string; room: string; code: string }) => Ollama> = {
  "the room's URL": ({ room }) => new Ollama({ host: room }),
  "the room's URL with a slash behind": ({ room }) => new Ollama({ host: `${room}/` }),
  "the room's URL without its protocol": ({ room }) => new Ollama({ host: room.replace('http://', '') }),
  'the root, with the code as key': ({ url, code }) =>
    new Ollama({ host: url, headers: { Authorization: `Bearer ${code}` } }),
  'the root of a hub with one room': ({ url }) => new Ollama({ host: url }),
}

for (const [name, clientOf] of Object.entries(HOSTS)) {
  t.test(`${name}: list, ps and version tell of all participants together, and a chat is answered`, async (t) => {
    const kitchen = await openThree(t)
    const ollama = clientOf(kitchen)
    const { models } = await ollama.list()
    t.match(
      models.map(({ name, size, details: { family } }) => ({ name, size, family })),
      [
        { name: REAL_MODEL, size: 2000, family: 'llama' },
        { name: 'mistral:7b', size: 4000, family: 'llama' },
        { name: 'phi', size: 0, family: '' },
      ],
    )
    t.equal(models.length, 3, 'what is not on offer is not listed')
    const running = await ollama.ps()
    t.match(running.models, [{ name: REAL_MODEL, size_vram: 1500, details: DETAILS }])
    t.equal(running.models.length, 1)
    t.strictSame(await ollama.version(), { version: '0.9.12' })
    kitchen.llm.answer(answerSaid('chat', ['So', 'up']))
    const { message } = await ollama.chat({ model: REAL_MODEL, messages: [{ role: 'user', content: 'Dinner?' }] })
    t.equal(message.content, 'Soup')
  })
}

t.test('at the root of a locked room the key is CODE:password', async (t) => {
  const { url, code } = await openThree(t, { room: { password: PASSWORD }, participant: { password: PASSWORD } })
  const shown = (key: string) => new Ollama({ host: url, headers: { Authorization: `Bearer ${key}` } }).list()
  t.equal((await shown(`${code}:${PASSWORD}`)).models.length, 3)
  await t.rejects(shown(code), { status_code: 401, message: /password/ })
  await t.rejects(shown(`${code}:wrong`), { status_code: 401, message: 'Invalid password' })
})

t.test('of several rooms at the root none is guessed', async (t) => {
  const { url } = await openThree(t)
  await openRoom(url)
  await t.rejects(new Ollama({ host: url }).list(), { name: 'ResponseError', message: /room/ })
})
