import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { emptyFolder, makeCertificate, writeCertificate } from '../support/certificates.ts'
import { startHub } from '../support/hub.ts'

const SCRIPT = fileURLToPath(new URL('../../docker/healthcheck.js', import.meta.url))

/** As the container runs it: with the hub's own environment. */
async function check(t: Test, url: string, env: Record<string, string> = {}): Promise<number | null> {
  const { NODE_OPTIONS: _, ...inherited } = process.env
  const child = spawn(process.execPath, [SCRIPT], {
    env: { ...inherited, PORT: new URL(url).port, ...env },
    stdio: 'ignore',
  })
  t.teardown(() => child.kill('SIGKILL'))
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

t.test('a hub over plain HTTP is well', async (t) => {
  t.equal(await check(t, (await startHub(t)).url), 0)
})

t.test('a hub with a certificate of its own is well', async (t) => {
  const { url } = await startHub(t, { tls: true, dataDir: emptyFolder(t) })
  t.equal(await check(t, url, { POTLUCK_TLS: 'true' }), 0)
})

t.test('a hub with a given certificate is well, for whatever name that is', async (t) => {
  const files = writeCertificate(emptyFolder(t), await makeCertificate())
  const { url } = await startHub(t, files)
  const env = { POTLUCK_TLS_CERT: files.tlsCert, POTLUCK_TLS_KEY: files.tlsKey }
  t.equal(await check(t, url, env), 0)
  t.equal(await check(t, url, { ...env, POTLUCK_TLS: 'false' }), 0)
})

t.test('a hub that has gone is not', async (t) => {
  const { hub, url } = await startHub(t)
  await hub.close()
  t.equal(await check(t, url), 1)
})

t.test('the other protocol is not', async (t) => {
  t.equal(await check(t, (await startHub(t)).url, { POTLUCK_TLS: 'true' }), 1)
  t.equal(await check(t, (await startHub(t, { tls: true, dataDir: emptyFolder(t) })).url), 1)
})

t.test('somebody else on its port is not', async (t) => {
  const server = createServer((_request, response) => void response.writeHead(503).end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  t.equal(await check(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`), 1)
})
