import t from 'tap'
import { call, openRoom, startHub } from '../support/hub.ts'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }
const WRONG = [12, true, {}, [], ['x']]

t.test('`{"name": 12}` is a 400 with a sentence, not a room named "12"', async (t) => {
  const { url } = await startHub(t)
  for (const name of WRONG) {
    const { status, body } = await call('POST', `${url}/rooms`, { name })
    t.equal(status, 400, JSON.stringify(name))
    t.match(body.error, /^name must be a text/)
  }
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [] })
})

t.test('a mistyped field at join is a 400 with a sentence that names it', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const field of Object.keys(ALICE)) {
    for (const value of WRONG) {
      const { status, body } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, [field]: value })
      t.equal(status, 400, `${field}: ${JSON.stringify(value)}`)
      t.ok(String(body.error).startsWith(`${field} must be `), String(body.error))
    }
  }
})

t.test('a mistyped id at a heartbeat is a 400 with a sentence', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const id of WRONG) {
    const { status, body } = await call('POST', `${url}/rooms/${room.code}/health`, { id })
    t.equal(status, 400, JSON.stringify(id))
    t.match(body.error, /^id must be /)
  }
})

t.test('numbers that JSON cannot hold well stay out: 1e999 is no temperature', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const body = JSON.stringify({ ...ALICE, config: { temperature: 0.5 } }).replace('0.5', '1e999')
  t.equal((await call('POST', `${url}/rooms/${room.code}/join`, body)).status, 400)
})
