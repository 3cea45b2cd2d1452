import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { emptyFolder, makeCertificate, servedCertificate, trusting, writeCertificate } from '../support/certificates.ts'
import { startChildHub } from '../support/child-hub.ts'
import { startHub } from '../support/hub.ts'

t.test('the given certificate is the one that is served, and its fingerprint is shown', async (t) => {
  const made = await makeCertificate()
  const { hub, url } = await startHub(t, writeCertificate(emptyFolder(t), made))
  t.match(url, /^https:/)
  t.equal((await servedCertificate(url)).fingerprint256, hub.fingerprint)
  t.equal((await trusting(t, made.cert)(`${url}/health`)).status, 200)
})

t.test('it wins over one of the hub’s own, and none is made', async (t) => {
  const folder = emptyFolder(t)
  const dataDir = join(folder, 'data')
  const { url } = await startHub(t, { ...writeCertificate(folder, await makeCertificate()), tls: true, dataDir })
  t.equal((await servedCertificate(url)).subject.CN, 'hub.test')
  t.notOk(existsSync(dataDir))
})

t.test('who has a certificate of their own commits browsers to https (HSTS)', async (t) => {
  const made = await makeCertificate()
  const { url } = await startHub(t, writeCertificate(emptyFolder(t), made))
  for (const path of ['/health', '/rooms', '/nowhere']) {
    const { headers } = await trusting(t, made.cert)(`${url}${path}`)
    t.match(headers.get('strict-transport-security'), /^max-age=31536000\b/, path)
  }
})

t.test('plain HTTP does not: browsers would ignore it, and nobody could go back', async (t) => {
  const { url } = await startHub(t)
  t.equal((await fetch(`${url}/health`)).headers.get('strict-transport-security'), null)
})

t.test('a chain is served as a whole', async (t) => {
  const [made, above] = [await makeCertificate(), await makeCertificate('authority.test')]
  const files = writeCertificate(emptyFolder(t), made)
  appendFileSync(files.tlsCert, `\n${above.cert}`)
  const { hub, url } = await startHub(t, files)
  const { fingerprint256, subject } = await servedCertificate(url)
  t.strictSame([fingerprint256, subject.CN], [hub.fingerprint, 'hub.test'])
})

t.test('`potluck serve` takes both by flags', async (t) => {
  const { tlsCert, tlsKey } = writeCertificate(emptyFolder(t), await makeCertificate())
  const { url, log } = await startChildHub(t, ['--tls-cert', tlsCert, '--tls-key', tlsKey])
  t.match(url, /^https:/)
  const { fingerprint256 } = await servedCertificate(url)
  while (!log().includes('fingerprint')) await new Promise((resolve) => setImmediate(resolve))
  t.match(log(), fingerprint256)
})
