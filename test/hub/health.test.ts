import t from 'tap'
import { call, startHub } from '../support/hub.ts'

t.test('GET /health says ok and the time in ms', async (t) => {
  const { url } = await startHub(t)
  const before = Date.now()
  const { status, body } = await call<{ status: string; timestamp: number }>('GET', `${url}/health`)
  t.equal(status, 200)
  t.equal(body.status, 'ok')
  t.ok(body.timestamp >= before && body.timestamp <= Date.now())
})
