import t, { type Test } from 'tap'
import type { Resolver } from '../../plugins/ollama-proxy/dispatchers.ts'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { HERE, type Joins, LAPTOP, startJoins } from '../support/joiners.ts'

const SENTENCE = 'Its endpoint leads to an address that the hub does not connect to'

/** A name server under the test's thumb: it answers with what `lead` was last told, to every name. */
function nameServer() {
  let current: readonly string[] = []
  const asked: string[] = []
  const resolver: Resolver = (hostname, callback) => {
    asked.push(hostname)
    const addresses = current.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
    process.nextTick(callback, null, addresses)
  }
  const lead = (...addresses: readonly string[]) => {
    current = addresses
  }
  return { resolver, lead, asked }
}

/** A server that hangs up after each answer, so that each request looks its name up anew. */
async function startAll(t: Test) {
  const names = nameServer()
  const joins = await startJoins(t, { resolver: names.resolver })
  const llm = await startFakeLlm(t, (request, response) => {
    response.setHeader('connection', 'close')
    return answerPlain('Soup')(request, response)
  })
  return { ...joins, ...names, llm, endpoint: `http://gpu-box.lan:${llm.port}` }
}

async function isForbidden(t: Test, { chat }: Pick<Joins, 'chat'>, id: string, what: string): Promise<void> {
  const { status, body } = await chat(id)
  t.equal(status, 502, what)
  t.equal(body.error?.message, `Failed to proxy request: Somebody (${id}): ${SENTENCE}`)
}

const NEVER = ['169.254.169.254', 'fd00:ec2::254', '::ffff:169.254.169.254', 'fe80::1', 'fe80::1%eth0', '0.0.0.0', '::']
const NEVER_EITHER = ['100.100.100.200', '168.63.129.16', '224.0.0.1', 'ff02::1', '255.255.255.255', '8.8.8.8']

t.test('a name that leads to loopback, of a joiner from the LAN, is 502 and no connection', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, LAPTOP, { id: 'alice' })
  for (const address of ['127.0.0.1', '::1', '127.1.2.3', '::ffff:127.0.0.1', '64:ff9b::7f00:1']) {
    all.lead(address)
    await isForbidden(t, all, 'alice', address)
  }
  t.strictSame([all.attempts.list, all.llm.requests], [[], []])
})

t.test('a name that leads where nobody may is 502 and no connection, on whatever machine its owner is', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, LAPTOP, { id: 'alice' })
  await all.join(all.endpoint, HERE, { id: 'bob' })
  for (const address of [...NEVER, ...NEVER_EITHER]) {
    all.lead(address)
    for (const id of ['alice', 'bob']) await isForbidden(t, all, id, `${id} ${address}`)
  }
  t.strictSame(all.attempts.list, [])
})

t.test('a name that moves between two requests (DNS rebinding) is looked at again', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, HERE, { id: 'alice' })
  all.lead('127.0.0.1')
  t.equal((await all.chat('alice')).status, 200)
  all.lead('169.254.169.254')
  await isForbidden(t, all, 'alice', 'moved')
  all.lead('127.0.0.1')
  t.equal((await all.chat('alice')).status, 200)
  t.strictSame(all.attempts.list, Array(2).fill(`127.0.0.1:${all.llm.port}`))
})

t.test('one lookup a connection: what was looked at is what is connected to', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, HERE, { id: 'alice' })
  all.lead('127.0.0.1')
  await all.chat('alice')
  t.strictSame(all.asked, ['gpu-box.lan'])
})

t.test('of several addresses only those that are allowed are tried', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, HERE, { id: 'alice' })
  for (const others of [NEVER, NEVER_EITHER]) {
    all.lead(...others, '127.0.0.1', ...others)
    t.equal((await all.chat('alice')).status, 200)
  }
  t.strictSame(all.attempts.list, Array(2).fill(`127.0.0.1:${all.llm.port}`))
})

t.test('of several addresses none is tried where none is allowed', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, LAPTOP, { id: 'alice' })
  all.lead('127.0.0.1', '::1', ...NEVER, ...NEVER_EITHER)
  await isForbidden(t, all, 'alice', 'all of them')
  t.strictSame(all.attempts.list, [])
})

t.test('names that systems know by themselves are judged by where they lead', async (t) => {
  const all = await startAll(t)
  const metadata = ['metadata.google.internal', 'metadata', 'instance-data.ec2.internal', '169.254.169.254.nip.io']
  const local = ['ip6-localhost', 'localhost.localdomain', 'localhost6', 'host.docker.internal', 'localtest.me']
  for (const [index, host] of [...metadata, ...local].entries()) {
    const { status } = await all.join(`http://${host}:${all.llm.port}`, LAPTOP, { id: `n${index}` })
    t.equal(status, 201, host)
    all.lead(index < metadata.length ? '169.254.169.254' : '127.0.0.1')
    await isForbidden(t, all, `n${index}`, host)
  }
  t.strictSame(all.attempts.list, [])
})

t.test('a name that leads nowhere says so', async (t) => {
  const missing = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  const { join, chat, attempts } = await startJoins(t, { resolver: (_name, callback) => callback(missing, []) })
  await join('http://gpu-box.lan:11434', LAPTOP, { id: 'alice' })
  t.match((await chat('alice')).body.error?.message, /Host name not found$/)
  t.strictSame(attempts.list, [])
})

t.test('the answer says nothing of where the name leads', async (t) => {
  const all = await startAll(t)
  await all.join(all.endpoint, LAPTOP, { id: 'alice' })
  all.lead('127.0.0.1', '169.254.169.254')
  t.notMatch(JSON.stringify((await all.chat('alice')).body), /127\.0|169\.254/)
})
