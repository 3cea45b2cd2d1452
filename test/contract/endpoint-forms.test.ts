import t, { type Test } from 'tap'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, type Joined, join, openRoom, startHub } from '../support/hub.ts'

async function refuses(t: Test, endpoints: readonly unknown[], sentence: RegExp): Promise<void> {
  const { url } = await startHub(t)
  const path = `${url}/rooms/${(await openRoom(url)).room.code}/join`
  for (const endpoint of endpoints) {
    const { status, body } = await call('POST', path, { id: 'alice', nickname: 'Alice', model: 'm', endpoint })
    t.equal(status, 400, encodeURI(String(endpoint)))
    t.match(body.error, sentence)
  }
}

t.test('a query or fragment is refused', async (t) => {
  const endpoints = [
    'http://127.0.0.1:1/?a=b',
    'http://127.0.0.1:1/#',
    'http://127.0.0.1:1?',
    'http://127.0.0.1:1/v1#x',
  ]
  await refuses(t, endpoints, /[?#]/)
})

t.test('an endpoint that is no http(s) URL is refused', async (t) => {
  const endpoints = [
    'ollama',
    '127.0.0.1:11434',
    'localhost:11434',
    '//127.0.0.1',
    'http://',
    'http:// /',
    'http://[::1',
  ]
  await refuses(t, endpoints, /http or https URL/)
})

t.test('an endpoint of another scheme is refused', async (t) => {
  const schemes = [
    'ftp://127.0.0.1',
    'file:///etc/hosts',
    'javascript:alert(1)',
    'data:text/plain,x',
    'ws://127.0.0.1:1',
  ]
  await refuses(t, [...schemes, 'tunnel:alice', 'unix:/run/llm.sock'], /http or https URL/)
})

t.test('an endpoint with credentials is refused: everybody in the room sees it', async (t) => {
  const endpoints = ['http://me:secret@127.0.0.1:1', 'http://me@127.0.0.1:1', 'https://:secret@127.0.0.1:1']
  await refuses(t, endpoints, /credentials/)
})

t.test('an endpoint with control characters, spaces or backslashes is refused', async (t) => {
  const endpoints = [
    'http://127.0.0.1:1/\r\nx: y',
    'http://127.0\t.0.1:1',
    ' http://127.0.0.1:1',
    'http:\\\\127.0.0.1:1',
  ]
  await refuses(
    t,
    [...endpoints, 'http://127.0.0.1:1/\u0000', 'http://127.0.0.1:1\n', 'http://127.0.0.1:1/\u2028'],
    /endpoint/,
  )
})

/** Joins with that endpoint and sends a request: what the room sees, and what the server is asked. */
async function reach(t: Test, suffix: string): Promise<{ given: string; shown: string; asked: string | undefined }> {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t)]
  const { room } = await openRoom(url)
  const given = `${llm.url}${suffix}`
  const { participant } = await join(url, room.code, { endpoint: given })
  await call('POST', `${url}/rooms/${room.code}/v1/chat/completions`, { model: '*', messages: [] })
  return { given, shown: participant.endpoint, asked: llm.requests[0]?.path }
}

for (const suffix of ['', '/', '/v1', '/v1/', '/v1//', '//']) {
  t.test(
    `an endpoint that ends in "${suffix}" is shown as it was given, and requested without a trailing / or /v1`,
    async (t) => {
      const { given, shown, asked } = await reach(t, suffix)
      t.equal(shown, given)
      t.equal(asked, '/v1/chat/completions')
    },
  )
}

t.test('an endpoint with a path of its own keeps it', async (t) => {
  for (const suffix of ['/llm', '/llm/', '/llm/v1', '/llm/v1/']) {
    t.equal((await reach(t, suffix)).asked, '/llm/v1/chat/completions', suffix)
  }
})

t.test('only a last segment that is v1 goes: /v10, /v1beta and /xv1 stay', async (t) => {
  for (const path of ['/v10', '/v1beta', '/xv1', '/v1/proxy']) {
    t.equal((await reach(t, path)).asked, `${path}/v1/chat/completions`, path)
  }
})

t.test('the endpoint is shown as it was given in the list and in the models too', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const endpoint = 'HTTP://LocalHost:00001/v1/'
  await join(url, room.code, { endpoint })
  const base = `${url}/rooms/${room.code}`
  const list = await call<{ participants: Joined['participant'][] }>('GET', `${base}/participants`)
  t.equal(list.body.participants[0]?.endpoint, endpoint)
  t.match(JSON.stringify((await call('GET', `${base}/v1/models`)).body), JSON.stringify(endpoint))
})
