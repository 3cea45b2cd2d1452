import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join as joinPath } from 'node:path'
import { promisify } from 'node:util'
import OpenAI from 'openai'
import t, { type Test } from 'tap'
import { emptyFolder, trusting } from '../support/certificates.ts'
import { answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { startHub } from '../support/hub.ts'

const run = promisify(execFile)
const MESSAGES = [{ role: 'user' as const, content: 'What is for dinner?' }]

/** A room behind TLS in which somebody streams. */
async function startSecureKitchen(t: Test) {
  const dataDir = emptyFolder(t)
  const { url } = await startHub(t, { tls: true, dataDir })
  const certFile = joinPath(dataDir, 'tls-cert.pem')
  const fetch = trusting(t, readFileSync(certFile, 'utf8'))
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })).json()
  }
  const { room } = (await post('/rooms', { name: 'Kitchen' })) as { room: { code: string } }
  const llm = await startFakeLlm(t, answerStream(['So', 'up', ' ☕']))
  await post(`/rooms/${room.code}/join`, { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: llm.url })
  return { url, certFile, fetch, llm, base: `${url}/rooms/${room.code}` }
}

t.test('the openai client streams over https', async (t) => {
  const { base, fetch } = await startSecureKitchen(t)
  const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'unused', maxRetries: 0, fetch })
  const stream = await openai.chat.completions.create({ model: '*', messages: MESSAGES, stream: true })
  let said = ''
  for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? ''
  t.equal(said, 'Soup ☕')
})

t.test('a client that leaves over https ends the request at the participant', async (t) => {
  const { base, fetch, llm } = await startSecureKitchen(t)
  llm.answer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {}\n\n')
  })
  const leaving = new AbortController()
  const body = JSON.stringify({ model: '*', messages: MESSAGES, stream: true })
  const { status } = await fetch(`${base}/v1/chat/completions`, { method: 'POST', body, signal: leaving.signal })
  t.equal(status, 200)
  leaving.abort()
  await llm.requests[0]?.closed
  t.equal(llm.requests[0]?.aborted, true)
})

t.test('events come over https as they happen', async (t) => {
  const { base, fetch } = await startSecureKitchen(t)
  const response = await fetch(`${base}/events`)
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const { value } = await reader.read()
  await reader.cancel()
  t.match(Buffer.from(value ?? []).toString(), /event: connected\n/)
})

const SCRIPT = `
  const { status } = await fetch(process.argv[1] + '/v1/models')
  console.log(status)
`

t.test('a program is told to trust the certificate by NODE_EXTRA_CA_CERTS, without a change', async (t) => {
  const { base, certFile } = await startSecureKitchen(t)
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const options = { env: { ...inherited, NODE_EXTRA_CA_CERTS: certFile } }
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', SCRIPT, base], options)
  t.equal(stdout.trim(), '200')
})
