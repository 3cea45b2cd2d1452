import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import { generate } from 'selfsigned'
import type { Test } from 'tap'
import { Agent, fetch } from 'undici'

/** An empty directory that goes with the test. */
export function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-tls-'))
  // Whatever rights were taken from it, it must go.
  t.teardown(() => {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

export interface MadeCertificate {
  cert: string
  key: string
}

/** As from somebody's own authority: the hub knows nothing of how it was made. */
export async function makeCertificate(name = 'hub.test'): Promise<MadeCertificate> {
  const altNames = [
    { type: 2 as const, value: name },
    { type: 7 as const, ip: '127.0.0.1' },
  ]
  const extensions = [{ name: 'subjectAltName' as const, altNames }]
  const made = await generate([{ name: 'commonName', value: name }], { keyType: 'ec', algorithm: 'sha256', extensions })
  return { cert: made.cert, key: made.private }
}

export interface CertificateFiles {
  tlsCert: string
  tlsKey: string
}

export function writeCertificate(folder: string, { cert, key }: MadeCertificate): CertificateFiles {
  const files = { tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') }
  writeFileSync(files.tlsCert, cert)
  writeFileSync(files.tlsKey, key, { mode: 0o600 })
  return files
}

/** What is served, whoever signed it. */
export async function servedCertificate(url: string): Promise<PeerCertificate> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const certificate = socket.getPeerCertificate()
  socket.destroy()
  return certificate
}

/** `fetch` that trusts this certificate and no other. */
export function trusting(t: Test, ca: string): typeof globalThis.fetch {
  const agent = new Agent({ connect: { ca } })
  t.teardown(() => agent.destroy())
  const trusted = (input: unknown, init: object = {}) =>
    fetch(input as string, { ...(init as Parameters<typeof fetch>[1]), dispatcher: agent })
  return trusted as unknown as typeof globalThis.fetch
}
