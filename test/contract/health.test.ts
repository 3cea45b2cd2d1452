import t from 'tap'
import { call, startHub } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'

t.test('GET /health: 200 {status:"ok", timestamp} as JSON, and nothing else', async (t) => {
  const { url } = await startHub(t)
  const { status, headers, body } = await call('GET', `${url}/health`)
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^application\/json/)
  t.strictSame(Object.keys(body).sort(), ['status', 'timestamp'])
  t.equal(body.status, 'ok')
})

t.test('GET /health: the timestamp is the time of the hub in ms', async (t) => {
  const { url, now, pass } = await startTimedHub(t)
  await pass(1234)
  const { body } = await call('GET', `${url}/health`)
  t.equal(body.timestamp, now())
})
