import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import t, { type Test } from 'tap'
import { findServers, usualPlaces } from '../../src/agent/llm/find.ts'
import { is } from '../support/cli.ts'
import { FINDABLE } from '../support/llm-kinds.ts'
import { isFree } from '../support/ports.ts'
import { kitchen } from './kit.ts'

/** These tests use the usual ports of LLM servers, where this machine's owner may have some. */
const { servers, locked } = await findServers({ places: usualPlaces({}) })
const used = await Promise.all([isFree(8000), isFree(1234), isFree(11_434, '::1')])
const isTaken = servers.length + locked.length > 0 || used.includes(false)
const skip = isTaken ? 'SKIPPED: something runs at the usual ports of LLM servers on this machine' : false

async function listen(t: Test, port: number, host: string, told: Record<string, unknown>): Promise<Server> {
  const server = createServer((request, response) => {
    const found = told[`${request.method} ${request.url}`]
    response.statusCode = found === undefined ? 404 : 200
    response.end(JSON.stringify(found ?? {}))
  })
  server.listen({ port, host, ipv6Only: true })
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return server
}

t.test('no LLM server: it says where it looked, and how to name one', { skip }, async (t) => {
  const { hub, code, laptop } = await kitchen(t)
  const { code: exitCode, stderr } = await laptop.run(['join', code, '--hub', hub])
  t.equal(exitCode, 66)
  for (const place of [
    '11434 (Ollama)',
    '1234 (LM Studio)',
    '8080 (llama.cpp, LocalAI)',
    '8000 (vLLM)',
    '1337 (Jan)',
  ]) {
    t.match(stderr, `localhost:${place}`)
  }
  t.match(stderr, '--endpoint http://HOST:PORT')
})

t.test('all that run here are found, whatever their ports and addresses', { skip }, async (t) => {
  const { hub, code, laptop } = await kitchen(t)
  // Each where another one usually is.
  await listen(t, 8000, '127.0.0.1', FINDABLE.ollama!(['llama3.2:3b']))
  await listen(t, 11434, '::1', FINDABLE.lmstudio!(['phi4']))
  const alice = laptop.start(['join', code, '--hub', hub, '--nickname', 'Alice', '--no-specs'])
  t.match(await alice.until(is('joined', { kind: 'ollama' })), {
    server: 'http://127.0.0.1:8000',
    models: ['llama3.2:3b'],
  })
  t.match(await alice.until(is('joined', { kind: 'lmstudio' })), { server: 'http://[::1]:11434', models: ['phi4'] })
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 0)
})

t.test('with --model only those join that have it', { skip }, async (t) => {
  const { hub, room, code, laptop } = await kitchen(t)
  await listen(t, 8000, '127.0.0.1', FINDABLE.ollama!(['llama3.2:3b']))
  await listen(t, 1234, '127.0.0.1', FINDABLE.lmstudio!(['phi4']))
  const alice = laptop.start(['join', code, '--hub', hub, '--nickname', 'Alice', '--model', 'phi4'])
  await alice.until(is('joined', { kind: 'lmstudio' }))
  alice.child.kill('SIGINT')
  await alice.ended
  t.equal(alice.events().filter(is('joined')).length, 1)
  t.equal((await room.look('alice-ollama')).status, 404)
})

t.test('OLLAMA_HOST says where Ollama is', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t)
  const alice = laptop.start(['join', code, '--hub', hub, '--model', 'qwen3:8b'], {
    env: { OLLAMA_HOST: `127.0.0.1:${llm.port}` },
  })
  t.match(await alice.until(is('joined')), { server: llm.url })
})
