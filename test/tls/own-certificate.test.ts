import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createHub } from '../../src/hub.ts'
import { emptyFolder, servedCertificate, trusting } from '../support/certificates.ts'
import { spawnHub, startChildHub } from '../support/child-hub.ts'
import { startHub } from '../support/hub.ts'

const FINGERPRINT = /^(?:[\dA-F]{2}:){31}[\dA-F]{2}$/

const modeOf = (path: string): number => statSync(path).mode & 0o777

async function startSecure(t: Test, dataDir = join(emptyFolder(t), 'data')) {
  const { hub, url } = await startHub(t, { tls: true, dataDir })
  return {
    hub,
    url,
    dataDir,
    fingerprint: hub.fingerprint,
    cert: join(dataDir, 'tls-cert.pem'),
    key: join(dataDir, 'tls-key.pem'),
  }
}

t.test('the hub is at https, and at nothing else', async (t) => {
  const { url } = await startSecure(t)
  t.match(url, /^https:\/\/127\.0\.0\.1:\d+$/)
  await t.rejects(fetch(url.replace('https', 'http')))
})

t.test('the fingerprint is that of the certificate that is served', async (t) => {
  const { url, fingerprint } = await startSecure(t)
  t.match(fingerprint, FINGERPRINT)
  t.equal((await servedCertificate(url)).fingerprint256, fingerprint)
})

t.test('before it listens, and without TLS, there is none', async (t) => {
  const unstarted = createHub({ tls: true, dataDir: join(emptyFolder(t), 'data') })
  t.equal(unstarted.fingerprint, undefined)
  await unstarted.close()
  t.equal((await startHub(t)).hub.fingerprint, undefined)
})

t.test('it is made once and kept: people have pinned it', async (t) => {
  const first = await startSecure(t)
  await first.hub.close()
  const second = await startSecure(t, first.dataDir)
  t.equal(second.fingerprint, first.fingerprint)
  t.equal((await servedCertificate(second.url)).fingerprint256, first.fingerprint)
})

t.test('another directory, another certificate', async (t) => {
  const [first, second] = [await startSecure(t), await startSecure(t)]
  t.not(first.fingerprint, second.fingerprint)
})

t.test('half of it is as good as none: both are made anew', async (t) => {
  for (const half of ['cert', 'key'] as const) {
    const first = await startSecure(t)
    await first.hub.close()
    rmSync(first[half])
    const second = await startSecure(t, first.dataDir)
    t.not(second.fingerprint, first.fingerprint)
    t.equal((await servedCertificate(second.url)).fingerprint256, second.fingerprint)
  }
})

t.test('the key is readable by its owner alone, and so is the directory that is made for it', async (t) => {
  const { dataDir, key } = await startSecure(t)
  t.equal(modeOf(dataDir), 0o700)
  t.equal(modeOf(key), 0o600)
})

t.test('the key stays so where the directory was there before, open to all', async (t) => {
  const dataDir = join(emptyFolder(t), 'data')
  mkdirSync(dataDir, { mode: 0o755 })
  t.equal(modeOf((await startSecure(t, dataDir)).key), 0o600)
})

t.test('the key is readable by its owner alone, also where an old one was not', async (t) => {
  const dataDir = emptyFolder(t)
  writeFileSync(join(dataDir, 'tls-key.pem'), 'the rest of a first start that was cut off', { mode: 0o644 })
  t.equal(modeOf((await startSecure(t, dataDir)).key), 0o600)
})

t.test('it is for this machine, by its name and on the loopback, and outlives the machine', async (t) => {
  const { cert, url } = await startSecure(t)
  const pem = readFileSync(cert, 'utf8')
  const certificate = new X509Certificate(pem)
  t.equal(certificate.checkHost('localhost'), 'localhost')
  t.equal(certificate.checkIP('127.0.0.1'), '127.0.0.1')
  t.ok(new Date(certificate.validTo).getFullYear() >= new Date().getFullYear() + 9)
  t.equal((await trusting(t, pem)(`${url}/health`)).status, 200, 'who trusts it needs no exception')
})

t.test('who does not trust it is told by the own client', async (t) => {
  const { url } = await startSecure(t)
  await t.rejects(fetch(`${url}/health`))
})

t.test('a self-signed certificate commits no browser to https (HSTS)', async (t) => {
  const { cert, url } = await startSecure(t)
  const { headers } = await trusting(t, readFileSync(cert, 'utf8'))(`${url}/health`)
  t.equal(headers.get('strict-transport-security'), null)
})

const SECRET = /PRIVATE KEY/

t.test('`potluck serve` says the fingerprint of what it serves, and no key', async (t) => {
  const dataDir = join(emptyFolder(t), 'data')
  const { url, log, child, exited } = await startChildHub(t, ['--tls', '--data-dir', dataDir])
  const served = (await servedCertificate(url)).fingerprint256
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await exited
  t.equal(code, 0)
  t.match(log(), `the certificate's SHA-256 fingerprint is ${served}`)
  t.notMatch(stdout + stderr, SECRET)
})

/** Starts a hub with these variables; the certificate is there once it listens. */
async function listens(t: Test, env: Record<string, string>): Promise<void> {
  const { child, log } = spawnHub(t, ['--host', '127.0.0.1', '--port', '0'], env)
  while (!log().includes('the hub listens')) await once(child.stdout as NodeJS.ReadableStream, 'data')
}

t.test('POTLUCK_DATA_DIR wins over XDG_DATA_HOME, and that over the home', async (t) => {
  const folder = emptyFolder(t)
  const [data, xdg, home] = ['data', 'xdg', 'home'].map((name) => join(folder, name)) as [string, string, string]
  const all = { POTLUCK_TLS: 'true', POTLUCK_DATA_DIR: data, XDG_DATA_HOME: xdg, HOME: home }
  await listens(t, all)
  t.strictSame(
    [data, xdg, home].map((path) => existsSync(path)),
    [true, false, false],
  )
  await listens(t, { ...all, POTLUCK_DATA_DIR: '' })
  t.strictSame([existsSync(join(xdg, 'potluck', 'tls-key.pem')), existsSync(home)], [true, false])
  await listens(t, { ...all, POTLUCK_DATA_DIR: '', XDG_DATA_HOME: '' })
  t.ok(existsSync(join(home, '.local', 'share', 'potluck', 'tls-key.pem')))
})

t.test('a relative XDG_DATA_HOME is ignored, as its specification wants', async (t) => {
  const home = emptyFolder(t)
  await listens(t, { POTLUCK_TLS: 'true', XDG_DATA_HOME: 'here', HOME: home })
  t.ok(existsSync(join(home, '.local', 'share', 'potluck', 'tls-cert.pem')))
})
