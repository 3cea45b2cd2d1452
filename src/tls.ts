import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { type Config, ConfigError } from './config.ts'

export interface TlsFiles {
  /** PEM */
  cert: string
  /** PEM */
  key: string
  /** SHA-256 of the certificate, as it is compared by eye and pinned: `AB:CD:…`. */
  fingerprint: string
  /** The hub made it for itself. */
  isSelfSigned: boolean
}

/** Long enough to outlive the machine; who pins it does not look at the date. */
const VALID_YEARS = 10

type TlsConfig = Pick<Config, 'tls' | 'tlsCert' | 'tlsKey' | 'dataDir'>

/**
 * The certificate to serve with, where there is to be one.
 * @throws ConfigError where a file is missing or not usable
 */
export async function loadTls(config: TlsConfig): Promise<TlsFiles | undefined> {
  if (config.tlsCert !== '' || config.tlsKey !== '') return loadGiven(config)
  return config.tls ? loadOwn(dataDirectory(config)) : undefined
}

async function loadGiven({ tlsCert, tlsKey }: TlsConfig): Promise<TlsFiles> {
  if (tlsCert === '' || tlsKey === '')
    throw new ConfigError('POTLUCK_TLS_CERT and POTLUCK_TLS_KEY go together: set both')
  const [cert, key] = await Promise.all([read('POTLUCK_TLS_CERT', tlsCert), read('POTLUCK_TLS_KEY', tlsKey)])
  const fingerprint = fingerprintOf(cert, tlsCert)
  if (!fits(cert, key))
    throw new ConfigError(`POTLUCK_TLS_KEY is ${tlsKey}, which is no key of the certificate ${tlsCert}`)
  return { cert, key, fingerprint, isSelfSigned: false }
}

async function read(variable: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`${variable} is ${file}, which can't be read: ${(error as Error).message}`)
  }
}

function fingerprintOf(cert: string, file: string): string {
  try {
    return new X509Certificate(cert).fingerprint256
  } catch {
    throw new ConfigError(`${file} holds no certificate in PEM form`)
  }
}

function fits(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
  } catch {
    return false
  }
}

/** Made once: people have pinned it. The key is readable by its owner alone. */
async function loadOwn(directory: string): Promise<TlsFiles> {
  const certFile = join(directory, 'tls-cert.pem')
  const keyFile = join(directory, 'tls-key.pem')
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
    return { cert, key, fingerprint: fingerprintOf(cert, certFile), isSelfSigned: true }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const { cert, key } = await makeCertificate()
  await mkdir(directory, { recursive: true, mode: 0o700 })
  // Under another name first: what stands there may be readable by others, or be read in the midst of the writing.
  await replaceFile(keyFile, key, 0o600)
  await replaceFile(certFile, cert, 0o644)
  return { cert, key, fingerprint: fingerprintOf(cert, certFile), isSelfSigned: true }
}

async function replaceFile(file: string, text: string, mode: number): Promise<void> {
  const draft = `${file}.${process.pid}`
  await rm(draft, { force: true })
  await writeFile(draft, text, { mode })
  await rename(draft, file)
}

async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const notAfterDate = new Date()
  notAfterDate.setFullYear(notAfterDate.getFullYear() + VALID_YEARS)
  const names = ['localhost', hostname()].map((value) => ({ type: 2 as const, value }))
  const altNames = [...names, { type: 7 as const, ip: '127.0.0.1' }]
  const extensions = [{ name: 'subjectAltName' as const, altNames }]
  const made = await (await import('selfsigned')).generate([{ name: 'commonName', value: 'Potluck hub' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notAfterDate,
    extensions,
  })
  return { cert: made.cert, key: made.private }
}

/** https://specifications.freedesktop.org/basedir-spec/latest/ */
function dataDirectory({ dataDir }: TlsConfig): string {
  if (dataDir !== '') return dataDir
  const { XDG_DATA_HOME } = process.env
  const base = XDG_DATA_HOME?.startsWith('/') === true ? XDG_DATA_HOME : join(homedir(), '.local', 'share')
  return join(base, 'potluck')
}
