import t from 'tap'
import { knock, type MintedKey, mintKey, NOON, PASSWORD, startTimedVault, startVault } from '../support/access.ts'
import { open, within } from '../support/chat.ts'
import { answerPlain, chunkOf, startFakeLlm, startStream } from '../support/fake-llm.ts'
import { call, join } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'

const CHAT = { model: '*', messages: [] }

t.test('a key is given out once, with what was asked for', async (t) => {
  const vault = await startTimedVault(t)
  const { id, key, ...rest } = await mintKey(vault, { name: 'Bob', requestsPerMinute: 30, tokensPerDay: 1000 })
  t.match(key, new RegExp(`^potluck-${vault.room.code}-[\\w-]{43}$`))
  t.match(id, /^[\w-]{12}$/)
  t.strictSame(rest, { name: 'Bob', createdAt: NOON, requestsPerMinute: 30, tokensPerDay: 1000 })
})

t.test('a budget that is null or absent is none', async (t) => {
  const vault = await startVault(t)
  const minted = await mintKey(vault, { name: 'Bob', requestsPerMinute: null, tokensPerDay: null })
  t.strictSame(Object.keys(minted).sort(), ['createdAt', 'id', 'key', 'name'])
})

t.test('a budget of nothing, or that is no count, is refused', async (t) => {
  const { base, asHost } = await startVault(t)
  for (const budget of [0, -1, 1.5, '10', true, 1e12]) {
    for (const field of ['requestsPerMinute', 'tokensPerDay']) {
      const { status, body } = await call('POST', `${base}/keys`, { name: 'Bob', [field]: budget }, asHost)
      t.equal(status, 400, `${field}: ${budget}`)
      t.match(body.error, field)
    }
  }
})

t.test('a key without a name, or with what no key has, is refused', async (t) => {
  const { base, asHost } = await startVault(t)
  for (const body of [{}, { name: '' }, { name: null }, { name: 'Bob', role: 'host' }, { name: 'Bob', key: 'mine' }])
    t.equal((await call('POST', `${base}/keys`, body, asHost)).status, 400, JSON.stringify(body))
})

t.test('the list has them in the order of their making, without what their holders send', async (t) => {
  const vault = await startVault(t)
  const minted = [await mintKey(vault, { name: 'Bob' }), await mintKey(vault, { name: 'Eve', requestsPerMinute: 1 })]
  const { body } = await call<{ keys: MintedKey[] }>('GET', `${vault.base}/keys`, undefined, vault.asHost)
  t.strictSame(
    body.keys,
    minted.map(({ key: _, ...shown }) => shown),
  )
})

t.test('two of one name are two keys', async (t) => {
  const vault = await startVault(t)
  const [first, second] = [await mintKey(vault), await mintKey(vault)]
  t.not(first.key, second.key)
  await call('DELETE', `${vault.base}/keys/${first.id}`, undefined, vault.asHost)
  t.equal(await knock(vault.base, first.key), 401)
  t.equal(await knock(vault.base, second.key), 200)
})

t.test('one that was revoked is gone from the list, and cannot be revoked again', async (t) => {
  const vault = await startVault(t)
  const { id } = await mintKey(vault)
  const revoke = () => call('DELETE', `${vault.base}/keys/${id}`, undefined, vault.asHost)
  t.match(await revoke(), { status: 200, body: { success: true } })
  t.match(await revoke(), { status: 404, body: { error: 'No such key in this room' } })
  t.strictSame((await call('GET', `${vault.base}/keys`, undefined, vault.asHost)).body, { keys: [] })
})

t.test("a host cannot revoke another room's key", async (t) => {
  const vault = await startVault(t)
  const other = await manageRoom(vault.url, { name: 'Other', password: PASSWORD })
  const { id, key } = await mintKey(other)
  t.equal((await call('DELETE', `${vault.base}/keys/${id}`, undefined, vault.asHost)).status, 404)
  t.equal(await knock(other.base, key), 200)
})

t.test('a key outlives a change of the password, and not its room', async (t) => {
  const vault = await startVault(t)
  const { key } = await mintKey(vault)
  await vault.change({ password: 'a new one' })
  t.equal(await knock(vault.base, key), 200)
  await vault.close()
  t.equal(await knock(vault.base, key), 404)
})

t.test('a key stands in no event and in no answer but its own', async (t) => {
  const vault = await startVault(t)
  const reader = await readEvents(t, `${vault.base}/events`, vault.asHost)
  const { key } = await mintKey(vault)
  await join(vault.url, vault.room.code, { password: PASSWORD })
  await reader.next('participant:joined')
  const seen = [...reader.frames.map(({ text }) => text)]
  for (const path of ['', '/participants', '/v1/models', '/usage', '/keys'])
    seen.push(JSON.stringify((await call('GET', `${vault.base}${path}`, undefined, vault.asHost)).body))
  t.notMatch(seen.join('\n'), key.slice(-20))
})

t.test('one that is revoked in the midst of a stream: the next request fails', async (t) => {
  const [vault, llm] = [await startVault(t), await startFakeLlm(t)]
  await join(vault.url, vault.room.code, { endpoint: llm.url, password: PASSWORD })
  const { id, key } = await mintKey(vault)
  const { promise: goOn, resolve } = Promise.withResolvers<void>()
  llm.answer(async (_request, response) => {
    startStream(response)
    response.write(chunkOf('one'))
    await goOn
    response.end('data: [DONE]\n\n')
  })
  const coming = await open(t, `${vault.base}/v1/chat/completions`, { ...CHAT, stream: true }, bearer(key))
  await coming.has('one')
  await call('DELETE', `${vault.base}/keys/${id}`, undefined, vault.asHost)
  resolve()
  t.ok((await within(coming.ended, 15_000, 'the end of the stream')).status === 200)
  llm.answer(answerPlain('Hello'))
  const { status } = await call('POST', `${vault.base}/v1/chat/completions`, CHAT, bearer(key))
  t.equal(status, 401)
})

// The hub would keep the books of every key that was ever revoked so.
t.test('nothing is kept of one that was revoked in the midst of a request', async (t) => {
  const [vault, llm] = [await startVault(t), await startFakeLlm(t)]
  await join(vault.url, vault.room.code, { endpoint: llm.url, password: PASSWORD })
  const { id, key } = await mintKey(vault)
  llm.answer(async (request, response) => {
    await call('DELETE', `${vault.base}/keys/${id}`, undefined, vault.asHost)
    await answerPlain('Hello')(request, response)
  })
  t.equal((await call('POST', `${vault.base}/v1/chat/completions`, CHAT, bearer(key))).status, 200)
  t.strictSame((await vault.hub.app).access.budgets.usageOf(id), {
    requests: 0,
    inputTokens: 0,
    outputTokens: 0,
    tokensToday: 0,
  })
})

t.test('nothing is kept of the keys of a room that was closed', async (t) => {
  const [vault, llm] = [await startVault(t), await startFakeLlm(t)]
  await join(vault.url, vault.room.code, { endpoint: llm.url, password: PASSWORD })
  const { id, key } = await mintKey(vault)
  t.equal((await call('POST', `${vault.base}/v1/chat/completions`, CHAT, bearer(key))).status, 200)
  const { budgets } = (await vault.hub.app).access
  t.equal(budgets.usageOf(id).requests, 1)
  await vault.close()
  t.equal(budgets.usageOf(id).requests, 0)
})
