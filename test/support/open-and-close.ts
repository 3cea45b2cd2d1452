import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as nextTurn } from 'node:timers/promises'
import { createHub } from '../../src/hub.ts'
import { chunkOf } from './fake-llm.ts'
import { call, join, openRoom } from './hub.ts'

/** A process of its own: serves all kinds of requests with a hub, closes it, and tells what still keeps it alive. */
const llm = createServer((incoming, response) => {
  incoming.resume()
  if (incoming.headers['user-agent'] === 'never') return
  response.writeHead(200, { 'content-type': 'text/event-stream' }).write(chunkOf('Hello'))
  if (incoming.headers['user-agent'] === 'endless') return
  if (incoming.headers['user-agent'] === 'broken') setImmediate(() => response.destroy())
  else response.end()
})
llm.listen(0, '127.0.0.1')
await once(llm, 'listening')

const hub = createHub({ host: '127.0.0.1', port: 0, graceMs: 100, defaultSlots: 10, learnIntervalMs: 0 })
const url = await hub.listen()
const { room } = await openRoom(url)
await join(url, room.code, { endpoint: `http://127.0.0.1:${(llm.address() as AddressInfo).port}` })
const base = `${url}/rooms/${room.code}`

/** One request, to the first piece of its answer at least. */
async function ask(agent: string, path = 'v1/chat/completions') {
  const outgoing = request(`${base}/${path}`, { method: 'POST', agent: false, headers: { 'user-agent': agent } })
  outgoing.on('error', () => {}).end('{}')
  if (agent === 'never') return outgoing
  const [response] = await once(outgoing, 'response')
  response.on('error', () => {}).resume()
  return outgoing
}

const events = request(`${base}/events`, { agent: false }).on('error', () => {})
events.end()
const [stream] = await once(events, 'response')
stream.resume()
await Promise.all(['plain', 'broken', 'endless', 'never'].map((agent) => ask(agent)))
const leaver = await ask('endless')
leaver.destroy()
await call('POST', `${base}/v1/chat/completions`, '{"model":"nobody"}')

await hub.close()
llm.close()
llm.closeAllConnections()
await once(llm, 'close')

/** Handles that close need a few turns of the event loop until they are gone. */
const PATIENCE_TURNS = 100

/** What the process itself has: its standard streams. */
const OWN = new Set(['PipeWrap', 'TTYWrap'])
const left = () => process.getActiveResourcesInfo().filter((name) => !OWN.has(name))
for (let turn = 0; turn < PATIENCE_TURNS && left().length > 0; turn++) await nextTurn(10)
process.stdout.write(JSON.stringify(left()))
