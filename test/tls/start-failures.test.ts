import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ConfigError } from '../../src/config.ts'
import { createHub } from '../../src/hub.ts'
import { emptyFolder, type MadeCertificate, makeCertificate, writeCertificate } from '../support/certificates.ts'
import { spawnHub } from '../support/child-hub.ts'

/** sysexits.h: EX_CONFIG. */
const EX_CONFIG = 78

const LOOPBACK = { HOST: '127.0.0.1', PORT: '0' }

/** The start stops for the configuration, in one line that says what about it. */
async function stops(t: Test, env: Record<string, string>, sentence: RegExp): Promise<void> {
  const { child, log, exited } = spawnHub(t, [], { ...LOOPBACK, ...env })
  // One that starts all the same would go on for ever.
  child.stdout?.on('data', () => log().includes('the hub listens') && child.kill('SIGTERM'))
  const { code, stdout, stderr } = await exited
  t.equal(code, EX_CONFIG, stderr)
  t.match(stderr, sentence)
  t.equal(stderr.trimEnd().split('\n').length, 1, 'one line, no stack')
  t.notMatch(stdout, /the hub listens/)
  t.notMatch(stderr, /BEGIN/, 'nothing of what the files hold')
}

async function given(t: Test, change: Partial<MadeCertificate> = {}): Promise<Record<string, string>> {
  const files = writeCertificate(emptyFolder(t), { ...(await makeCertificate()), ...change })
  return { POTLUCK_TLS_CERT: files.tlsCert, POTLUCK_TLS_KEY: files.tlsKey }
}

t.test('one of the two alone', async (t) => {
  for (const missing of ['POTLUCK_TLS_CERT', 'POTLUCK_TLS_KEY'])
    await stops(t, { ...(await given(t)), [missing]: '' }, /POTLUCK_TLS_CERT and POTLUCK_TLS_KEY go together/)
})

t.test('a file that is not there', async (t) => {
  for (const name of ['POTLUCK_TLS_CERT', 'POTLUCK_TLS_KEY'])
    await stops(
      t,
      { ...(await given(t)), [name]: '/nowhere/x.pem' },
      new RegExp(`${name} is /nowhere/x.pem, which can't be read`),
    )
})

t.test('a directory in the place of a file', async (t) => {
  for (const name of ['POTLUCK_TLS_CERT', 'POTLUCK_TLS_KEY'])
    await stops(t, { ...(await given(t)), [name]: emptyFolder(t) }, new RegExp(`${name} is .+, which can't be read`))
})

t.test('a certificate that is none', async (t) => {
  const empty = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
  for (const cert of ['', 'garbage', empty])
    await stops(t, await given(t, { cert }), /holds no certificate in PEM form/)
})

t.test('a key that is none', async (t) => {
  const empty = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
  for (const key of ['', 'garbage', empty]) await stops(t, await given(t, { key }), /POTLUCK_TLS_KEY|key\.pem/)
})

t.test('a key that does not fit the certificate', async (t) => {
  const { key } = await makeCertificate()
  await stops(t, await given(t, { key }), /POTLUCK_TLS_KEY|key\.pem/)
})

t.test('an own certificate that was spoilt', async (t) => {
  const dataDir = emptyFolder(t)
  writeFileSync(join(dataDir, 'tls-cert.pem'), 'garbage')
  writeFileSync(join(dataDir, 'tls-key.pem'), 'garbage')
  await stops(t, { POTLUCK_TLS: 'true', POTLUCK_DATA_DIR: dataDir }, /tls-cert\.pem holds no certificate/)
})

t.test('a data directory that can not be one', async (t) => {
  const dataDir = join(emptyFolder(t), 'file')
  writeFileSync(dataDir, '')
  const { code, stderr } = await spawnHub(t, [], { ...LOOPBACK, POTLUCK_TLS: 'true', POTLUCK_DATA_DIR: dataDir }).exited
  t.ok(code !== 0)
  t.match(stderr, dataDir)
})

t.test('whoever embeds the hub is told by listen(), and close() ends all the same', async (t) => {
  const hub = createHub({ host: '127.0.0.1', port: 0, tlsCert: '/nowhere/x.pem', tlsKey: '/nowhere/y.pem' })
  await t.rejects(hub.listen(), ConfigError)
  await t.resolves(hub.close())
})
