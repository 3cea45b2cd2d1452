import t, { type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { createDispatchers, type Resolver } from '../../plugins/ollama-proxy/dispatchers.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { watchAttempts } from '../support/attempts.ts'
import { answerByHand } from '../support/by-hand.ts'
import { startFakeLlm } from '../support/fake-llm.ts'

const FORBIDDEN = { code: 'PTL_FORBIDDEN_ADDRESS' }

const at =
  (...addresses: readonly string[]): Resolver =>
  (_hostname, callback) =>
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )

/** Who joined from an address may have the hub connect to what the test says. */
function setUp(t: Test, allowed: Record<string, readonly string[]>, resolver: Resolver = at('127.0.0.1')) {
  const asked: string[] = []
  const allows = (address: string, { joinedFrom = '' }: { joinedFrom?: string }) => {
    asked.push(address)
    return allowed[joinedFrom]?.includes(address) ?? false
  }
  const dispatchers = createDispatchers({
    tunnelOf: () => {
      throw new Error('nobody has a tunnel')
    },
    allows,
    connectTimeoutMs: 1000,
    resolver,
  })
  t.teardown(() => dispatchers.destroy())
  const of = (joinedFrom?: string) => dispatchers.dispatcherFor(recordOf(joinedFrom))
  return { dispatchers, of, asked, attempts: watchAttempts(t).list }
}

/** Only where somebody joined from is looked at. */
function recordOf(joinedFrom?: string): ParticipantRecord {
  const target = { origin: '', basePath: '', ...(joinedFrom === undefined ? {} : { joinedFrom }) }
  return { target } as ParticipantRecord
}

async function get(dispatcher: Dispatcher, origin: string): Promise<number> {
  const { statusCode, body } = await dispatcher.request({ origin, path: '/', method: 'GET' })
  await body.text()
  // undici takes a connection back a moment after the end of the answer.
  await new Promise(setImmediate)
  return statusCode
}

t.test('an address is looked at before anything is sent, where no name stands before it', async (t) => {
  const { of, asked, attempts } = setUp(t, {})
  const hosts = ['127.0.0.1', '[::1]', '169.254.169.254', '[fd00:ec2::254]']
  for (const host of hosts) await t.rejects(get(of('a'), `http://${host}:9`), FORBIDDEN, host)
  t.strictSame(asked, ['127.0.0.1', '::1', '169.254.169.254', 'fd00:ec2::254'])
  t.strictSame(attempts, [])
})

t.test('over TLS too', async (t) => {
  const { of, attempts } = setUp(t, {})
  for (const host of ['127.0.0.1', 'gpu-box', '[::1]'])
    await t.rejects(get(of('a'), `https://${host}:9`), FORBIDDEN, host)
  t.strictSame(attempts, [])
})

t.test('a name is looked up, and each of its addresses is looked at', async (t) => {
  const { of, asked, attempts } = setUp(t, {}, at('10.0.0.1', '127.0.0.1', '::1'))
  await t.rejects(get(of('a'), 'http://gpu-box:9'), FORBIDDEN)
  t.strictSame([asked, attempts], [['10.0.0.1', '127.0.0.1', '::1'], []])
})

t.test('only the allowed ones are tried', async (t) => {
  const llm = await startFakeLlm(t)
  const { of, attempts } = setUp(t, { a: ['127.0.0.1'] }, at('10.0.0.1', '127.0.0.2', '127.0.0.1', '::1'))
  t.equal(await get(of('a'), `http://gpu-box:${llm.port}`), 200)
  t.strictSame(attempts, [`127.0.0.1:${llm.port}`])
})

t.test('several allowed ones are tried one after the other', async (t) => {
  const llm = await startFakeLlm(t)
  const { of, attempts } = setUp(t, { a: ['127.0.0.1', '127.0.0.2'] }, at('127.0.0.2', '10.0.0.1', '127.0.0.1'))
  t.equal(await get(of('a'), `http://gpu-box:${llm.port}`), 200)
  t.strictSame(attempts, [`127.0.0.2:${llm.port}`, `127.0.0.1:${llm.port}`])
})

t.test('a name without addresses is connected to by nobody', async (t) => {
  const { of, attempts } = setUp(t, { a: ['127.0.0.1'] }, at())
  await t.rejects(get(of('a'), 'http://gpu-box:9'))
  t.strictSame(attempts, [])
})

t.test('what the resolver has to say about a name that it does not know is passed on', async (t) => {
  const unknown = Object.assign(new Error('unknown'), { code: 'ENOTFOUND' })
  const { of } = setUp(t, {}, (_hostname, callback) => callback(unknown, []))
  await t.rejects(get(of('a'), 'http://gpu-box:9'), { code: 'ENOTFOUND' })
})

t.test('a new connection asks anew', async (t) => {
  const llm = await startFakeLlm(t, (_request, response) => void response.setHeader('connection', 'close').end())
  const allowed: Record<string, string[]> = { a: ['127.0.0.1'] }
  const { of } = setUp(t, allowed)
  t.equal(await get(of('a'), `http://gpu-box:${llm.port}`), 200)
  allowed.a = []
  await t.rejects(get(of('a'), `http://gpu-box:${llm.port}`), FORBIDDEN)
  t.equal(llm.requests.length, 1)
})

t.test('connections are shared by those who joined from one address, and by no others', async (t) => {
  const llm = await startFakeLlm(t)
  const { of, attempts } = setUp(t, { a: ['127.0.0.1'], b: ['127.0.0.1'], '': ['127.0.0.1'] })
  for (const joinedFrom of ['a', 'a', 'b', undefined, 'b', undefined, 'a']) await get(of(joinedFrom), llm.url)
  t.equal(attempts.length, 3)
  t.equal(of('a'), of('a'))
  t.not(of('a'), of('b'))
  t.not(of('a'), of())
})

t.test('who joined from an unknown address shares with nobody whose address is known', async (t) => {
  const llm = await startFakeLlm(t)
  const { of } = setUp(t, { a: ['127.0.0.1'] })
  t.equal(await get(of('a'), llm.url), 200)
  await t.rejects(get(of(), llm.url), FORBIDDEN)
})

t.test('a flood of addresses lets a request that runs end', async (t) => {
  const hand = answerByHand()
  const llm = await startFakeLlm(t, hand.answerer)
  const { of } = setUp(t, { a: ['127.0.0.1'] })
  const first = of('a')
  const running = get(first, llm.url)
  const { response } = await hand.next()
  for (let index = 0; index < 300; index += 1) of(`10.0.${index >> 8}.${index & 255}`)
  t.not(of('a'), first, 'it was forgotten meanwhile')
  response.end()
  t.equal(await running, 200)
})
