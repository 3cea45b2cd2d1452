import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { connectTunnel } from '../../src/agent/tunnel/index.ts'
import { emptyFolder, trusting } from '../support/certificates.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { startHub } from '../support/hub.ts'

t.test('a tunnel to a hub with TLS: by its certificate, and not without', async (t) => {
  const dataDir = emptyFolder(t)
  const { url } = await startHub(t, { tls: true, dataDir })
  const ca = readFileSync(join(dataDir, 'tls-cert.pem'), 'utf8')
  const fetch = trusting(t, ca)
  const post = async (path: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const { code } = (await post('/rooms', { name: 'Kitchen' })).body.room as { code: string }
  const entry = { id: 'alice', nickname: 'Alice', model: 'm', tunnel: true }
  const { token } = (await post(`/rooms/${code}/join`, entry)).body as { token: string }
  const llm = await startFakeLlm(t, answerPlain('Beans'))
  const options = { hub: new URL(url), code, token, endpoint: new URL(llm.url) }
  await t.rejects(connectTunnel(options), { kind: 'unreachable', code: /SELF_SIGNED|UNABLE_TO_VERIFY/ })
  const tunnel = await connectTunnel({ ...options, ca })
  t.teardown(() => tunnel.close())
  const asked = { model: 'm', messages: [] }
  // It is told of as soon as it stands at both ends.
  let status = 503
  for (let attempt = 0; attempt < 100 && status === 503; attempt++)
    status = (await post(`/rooms/${code}/v1/chat/completions`, asked)).status
  t.equal(status, 200)
})
