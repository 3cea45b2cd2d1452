// Brings an Ollama server into a room and keeps it there: what the `ollama` profile of docker-compose.yml runs.
// It opens the room where there is none, pulls the model where it is missing, joins, and sends heartbeats until it is stopped.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

const HUB = process.env.POTLUCK_HUB || 'http://hub:3000'
const OLLAMA = process.env.OLLAMA_URL || 'http://ollama:11434'
const MODEL = process.env.OLLAMA_MODEL || 'llama3.2:3b'
const CODE = (process.env.ROOM_CODE || 'OLLAMA').toUpperCase()
const PASSWORD = process.env.ROOM_PASSWORD || undefined
// A new one each time: without its token, which died with the process, nobody may join under the old one.
const ID = `ollama-${randomBytes(3).toString('hex')}`

const HEARTBEAT_MS = 10_000
const RETRY_MS = 3000

const stopped = new AbortController()
let token

async function call(method, url, body) {
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal: stopped.signal })
  return { status: response.status, body: await response.json().catch(() => ({})) }
}

async function offeredModels() {
  const { body } = await call('GET', `${OLLAMA}/api/tags`)
  return (body.models ?? []).map(({ name }) => name)
}

async function pullModel() {
  if ((await offeredModels()).includes(MODEL)) return
  console.log(`pulling ${MODEL}: this takes a while the first time`)
  const { status, body } = await call('POST', `${OLLAMA}/api/pull`, { model: MODEL, stream: false })
  if (status !== 200) throw new Error(`Ollama could not pull ${MODEL}: ${body.error ?? status}`)
}

async function openRoom() {
  const { status, body } = await call('POST', `${HUB}/rooms`, { name: 'Ollama', code: CODE, password: PASSWORD })
  if (status !== 201 && status !== 409) throw new Error(`the hub did not open the room: ${body.error ?? status}`)
}

async function join() {
  const entry = { id: ID, nickname: 'Ollama', models: await offeredModels(), endpoint: OLLAMA, password: PASSWORD }
  const { status, body } = await call('POST', `${HUB}/rooms/${CODE}/join`, entry)
  if (status !== 201) throw new Error(`the room did not take us: ${body.error ?? status}`)
  token = body.token
  console.log(`joined: use ${HUB}/rooms/${CODE}/v1 with ${entry.models.join(', ')}`)
}

async function stayIn() {
  for (;;) {
    await sleep(HEARTBEAT_MS, undefined, { signal: stopped.signal })
    const { status } = await call('POST', `${HUB}/rooms/${CODE}/health`, { id: ID })
    // A hub that was restarted knows neither the room nor us.
    if (status === 404) return
  }
}

async function leave() {
  const headers = token ? { authorization: `Bearer ${token}` } : {}
  await fetch(`${HUB}/rooms/${CODE}/leave/${ID}`, { method: 'DELETE', headers, signal: AbortSignal.timeout(2000) })
}

for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stopped.abort())

while (!stopped.signal.aborted) {
  try {
    await pullModel()
    await openRoom()
    await join()
    await stayIn()
  } catch (error) {
    if (stopped.signal.aborted) break
    console.error(`${error.cause?.message ?? error.message}; trying again`)
    await sleep(RETRY_MS, undefined, { signal: stopped.signal }).catch(() => {})
  }
}
await leave().catch(() => {})
