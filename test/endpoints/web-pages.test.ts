import t from 'tap'
import { call } from '../support/hub.ts'
import { atPort, HERE, LAPTOP, refusesAll, startJoins, takesAll } from '../support/joiners.ts'

/** A browser sends it with every request of a page that could have been made by somebody else. */
const STRANGER = { origin: 'https://stranger.test' }

t.test('a page of another origin has no more rights than the LAN, wherever it is looked at', async (t) => {
  const joins = await startJoins(t)
  const join: typeof joins.join = (endpoint, from) => joins.join(endpoint, from, {}, STRANGER)
  const hosts = ['127.0.0.1', 'localhost', '[::1]']
  await refusesAll(t, { ...joins, join }, atPort(hosts), /must not be/, HERE)
})

t.test('a program on the hub’s machine has those of the machine', async (t) => {
  await takesAll(t, await startJoins(t), atPort(['127.0.0.1', 'localhost', '[::1]']), HERE)
})

t.test('a page speaks for no participant of the machine that it is looked at on', async (t) => {
  const { base, join } = await startJoins(t)
  await join('http://192.168.1.20:11434', LAPTOP, { id: 'alice' })
  const leave = (headers: Record<string, string>) =>
    call('DELETE', `${base}/leave/alice`, undefined, { 'x-forwarded-for': LAPTOP, ...headers })
  t.equal((await leave(STRANGER)).status, 401)
  t.equal((await leave({})).status, 200)
})
