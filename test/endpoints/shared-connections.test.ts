import t, { type Test } from 'tap'
import type { Resolver } from '../../plugins/ollama-proxy/dispatchers.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { HERE, LAPTOP, startJoins } from '../support/joiners.ts'

const toLoopback: Resolver = (_hostname, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }])

async function startAll(t: Test) {
  const joins = await startJoins(t, { resolver: toLoopback })
  const llm = await startFakeLlm(t, answerPlain('Soup'))
  return { ...joins, llm, endpoint: `http://gpu-box.lan:${llm.port}` }
}

t.test('an open connection of one who may serves nobody who may not', async (t) => {
  const { join, chat, llm, endpoint } = await startAll(t)
  await join(endpoint, HERE, { id: 'alice' })
  await join(endpoint, LAPTOP, { id: 'bob' })
  t.equal((await chat('alice')).status, 200)
  t.equal(llm.sockets.size, 1, 'it is kept open')
  t.equal((await chat('bob')).status, 502)
  t.equal(llm.requests.length, 1)
})

t.test('those who joined from one address share a connection', async (t) => {
  const { join, chat, attempts, endpoint } = await startAll(t)
  for (const id of ['alice', 'bob']) await join(endpoint, HERE, { id })
  for (const id of ['alice', 'bob', 'alice']) t.equal((await chat(id)).status, 200)
  t.equal(attempts.list.length, 1)
})

t.test('who joins anew from elsewhere has the rights of there', async (t) => {
  const { join, chat, llm, endpoint } = await startAll(t)
  const { body } = await join(endpoint, HERE, { id: 'alice' })
  t.equal((await chat('alice')).status, 200)
  await rejoin(t, { join, endpoint, token: body.token ?? '' })
  t.equal((await chat('alice')).status, 502)
  t.equal(llm.requests.length, 1)
})

interface Rejoin extends Pick<Awaited<ReturnType<typeof startAll>>, 'join' | 'endpoint'> {
  token: string
}

/** With its token, which is good from any address. */
async function rejoin(t: Test, { join, endpoint, token }: Rejoin): Promise<void> {
  const { status } = await join(endpoint, LAPTOP, { id: 'alice' }, { authorization: `Bearer ${token}` })
  t.equal(status, 201)
}
