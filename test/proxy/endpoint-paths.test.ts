import t from 'tap'
import { send } from '../support/chat.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { openRoomFor } from '../support/kitchen.ts'

const PATHS: [string, string][] = [
  ['', '/v1/chat/completions'],
  ['/', '/v1/chat/completions'],
  ['/v1', '/v1/chat/completions'],
  ['/v1/', '/v1/chat/completions'],
  ['/v1//', '/v1/chat/completions'],
  ['/llm', '/llm/v1/chat/completions'],
  ['/llm/v1/', '/llm/v1/chat/completions'],
  ['/my-v1', '/my-v1/v1/chat/completions'],
  ['/v1/llm', '/v1/llm/v1/chat/completions'],
  ['/a%20b', '/a%20b/v1/chat/completions'],
]

for (const [given, asked] of PATHS) {
  t.test(`an endpoint that ends in "${given}" is asked at ${asked}`, async (t) => {
    const llm = await startFakeLlm(t)
    const { chatUrl } = await openRoomFor(t, `${llm.url}${given}`)
    t.equal((await send(t, chatUrl, { model: '*' })).status, 200)
    t.equal(llm.requests[0]!.path, asked)
    t.equal(llm.requests[0]!.method, 'POST')
  })
}
