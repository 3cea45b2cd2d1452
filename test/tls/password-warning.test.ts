import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { emptyFolder } from '../support/certificates.ts'
import { startHub } from '../support/hub.ts'

/** A hub of which the warnings are kept; requests come as from a client, without a socket. */
async function startHeard(t: Test, options: HubOptions = {}) {
  const lines: string[] = []
  const logger = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
  const { hub } = await startHub(t, { logger, ...options })
  const app = await hub.app
  const open = async (password?: string) => {
    const { statusCode, body } = await app.inject({
      method: 'POST',
      url: '/rooms',
      payload: { name: 'Vault', password },
    })
    t.equal(statusCode, 201)
    return JSON.parse(body) as { room: { code: string }; hostToken: string }
  }
  const protect = async ({ room, hostToken }: Awaited<ReturnType<typeof open>>, password: string | null) => {
    const headers = { authorization: `Bearer ${hostToken}` }
    const { statusCode } = await app.inject({
      method: 'PATCH',
      url: `/rooms/${room.code}`,
      headers,
      payload: { password },
    })
    t.equal(statusCode, 200)
  }
  const said = () => lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
  return { open, protect, warnings: () => said().filter((message) => message.includes('the hub speaks plain HTTP')) }
}

t.test('plain HTTP and a password: one warning, however many rooms have one', async (t) => {
  const { open, protect, warnings } = await startHeard(t)
  const room = await open('open sesame')
  await open('open barley')
  await protect(room, 'open rye')
  t.equal(warnings().length, 1)
  t.match(warnings()[0], '--tls')
  t.notMatch(warnings()[0], /sesame|barley|rye/)
})

t.test('a room that gets its password later counts too', async (t) => {
  const { open, protect, warnings } = await startHeard(t)
  const room = await open()
  t.equal(warnings().length, 0)
  await protect(room, 'open sesame')
  t.equal(warnings().length, 1)
})

t.test('none without a password', async (t) => {
  const { open, protect, warnings } = await startHeard(t)
  await open('')
  await protect(await open(), null)
  t.equal(warnings().length, 0)
})

t.test('none with TLS', async (t) => {
  const { open, warnings } = await startHeard(t, { tls: true, dataDir: emptyFolder(t) })
  await open('open sesame')
  t.equal(warnings().length, 0)
})
