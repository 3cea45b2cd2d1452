import { pino } from 'pino'
import t, { type Test } from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, type Joined, type OpenRoom, startHub } from '../support/hub.ts'
import { NAMES_A_HASH } from '../support/secret-log.ts'
import { readEvents } from '../support/sse.ts'
import { framesSoFar, send } from '../support/wire.ts'

const PASSWORD = 'correct-horse-battery'
const PROVIDER_KEY = 'sk-provider-0123456789'

interface Evening {
  /** Everything that the hub logged, answered or announced, apart from the two answers that hand out a token. */
  said: string
  secrets: string[]
}

/** A room's whole life, with a secret in every place that has one. */
async function spendEvening(t: Test): Promise<Evening> {
  const lines: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const [{ url }, llm] = [await startHub(t, { logger }), await startFakeLlm(t)]
  const feed = await readEvents(t, `${url}/events`)
  const locked = (await call<OpenRoom>('POST', `${url}/rooms`, { name: 'Vault', password: PASSWORD })).body
  const open = (await call<OpenRoom>('POST', `${url}/rooms`, { name: 'Kitchen' })).body
  const reader = await readEvents(t, `${url}/rooms/${open.room.code}/events`)
  const { tokens, texts } = await useRooms(url, llm.url, locked, open)
  const frames = [...(await framesSoFar(url, feed)), ...(await framesSoFar(url, reader))].map(({ text }) => text)
  return { said: [...lines, ...texts, ...frames].join('\n'), secrets: [PASSWORD, PROVIDER_KEY, ...tokens] }
}

async function useRooms(url: string, endpoint: string, locked: OpenRoom, open: OpenRoom) {
  const alice = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint, password: PASSWORD }
  const first = await call<Joined>('POST', `${url}/rooms/${locked.room.code}/join`, alice)
  const second = await call<Joined>('POST', `${url}/rooms/${open.room.code}/join`, alice)
  const token = second.body.token
  const headers = { authorization: `Bearer ${token}` }
  const base = `${url}/rooms/${open.room.code}`
  const asked = [
    ['POST', `${url}/rooms/${locked.room.code}/join`, { ...alice, id: 'bob', password: `${PASSWORD}!` }],
    ['POST', `${base}/join`, { ...alice, id: 'carol', endpoint: `http://me:${PROVIDER_KEY}@127.0.0.1:1` }],
    ['POST', `${base}/join`, { ...alice, id: 'dave', authHeaders: { Authorization: `Bearer ${PROVIDER_KEY}` } }],
    ['POST', `${base}/health`, { id: 'alice' }],
    ['POST', `${base}/v1/chat/completions`, { model: '*', messages: [] }],
    ['POST', `${base}/v1/chat/completions`, { model: 'nobody', messages: [] }],
    ['GET', `${base}/participants`, undefined],
    ['GET', `${base}/v1/models`, undefined],
    ['GET', `${url}/rooms`, undefined],
    ['GET', `${url}/nowhere?key=${PROVIDER_KEY}`, undefined],
    ['DELETE', `${base}/leave/alice`, undefined],
  ] as const
  const texts: string[] = []
  for (const [method, path, body] of asked) {
    const json = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await send(method, path, { headers, ...json })
    texts.push(answer.text, JSON.stringify(answer.headers))
  }
  return { tokens: [token, first.body.token, open.hostToken, locked.hostToken], texts }
}

t.test(
  'password hashes, tokens and provider credentials never appear in a response, an event or a log line',
  async (t) => {
    const { said, secrets } = await spendEvening(t)
    t.match(said, 'participant:left', 'the evening went as planned')
    for (const secret of secrets) {
      t.type(secret, 'string')
      t.notOk(said.includes(secret), secret)
    }
    t.notMatch(said, NAMES_A_HASH)
  },
)
