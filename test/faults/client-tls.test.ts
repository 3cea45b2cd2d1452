import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { emptyFolder } from '../support/certificates.ts'
import { startHub } from '../support/hub.ts'

const REQUEST_MS = 1000
const BOUND_MS = 8000

interface Caller {
  socket: Socket
  heard(): string
}

function listen(t: Test, socket: Socket): Caller {
  let text = ''
  socket
    .on('error', () => {})
    .on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
    })
  t.teardown(() => socket.destroy())
  return { socket, heard: () => text }
}

/** A hub behind TLS, and how many connections it has open. */
async function startSecureHub(t: Test) {
  const { url, hub } = await startHub(t, { tls: true, dataDir: emptyFolder(t), requestTimeoutMs: REQUEST_MS })
  const { server } = await hub.app
  const count = () =>
    new Promise<number>((resolve, reject) => {
      server.getConnections((error, open) => (error === null ? resolve(open) : reject(error)))
    })
  const at = { port: Number(new URL(url).port), host: '127.0.0.1', allowHalfOpen: true }
  return {
    /** Without a handshake. */
    dial: () => listen(t, connect(at)),
    async dialTls() {
      const caller = listen(t, connectTls({ ...at, rejectUnauthorized: false }))
      await once(caller.socket, 'secureConnect')
      return caller
    },
    async letsAllGo() {
      for (const deadline = Date.now() + BOUND_MS; (await count()) > 0; ) {
        if (Date.now() > deadline) throw new Error(`${await count()} connections are held`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
}

t.test('behind TLS, too, who is slow, silent or noisy is told so and let go', async (t) => {
  const { dial, dialTls, letsAllGo } = await startSecureHub(t)
  const [silent, slow, noisy] = [await dialTls(), await dialTls(), await dialTls()]
  const [mute, plain] = [dial(), dial()]
  slow.socket.write('POST /rooms HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n{')
  noisy.socket.write('NOISE\r\n\r\n')
  plain.socket.write('GET /health HTTP/1.1\r\nHost: hub\r\n\r\n')
  await letsAllGo()
  for (const caller of [silent, slow]) t.match(caller.heard(), /^HTTP\/1\.1 408 /)
  t.match(noisy.heard(), /^HTTP\/1\.1 400 /)
  t.equal(mute.heard(), '')
  t.notOk(plain.heard().includes('HTTP'))
})
