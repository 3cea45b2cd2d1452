import t, { type Test } from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { findSecrets, holdToSilence, keepLog, noteSecrets } from '../support/secret-log.ts'

const URL = 'http://127.0.0.1:9'

interface Watched {
  failures: { name: string; told: unknown }[]
  /** The end of the test. */
  end(): void
}

/** Something that `holdToSilence` takes for a test, and that only tells what it was told. */
function watch(lines: string[], url: string): Watched {
  const failures: Watched['failures'] = []
  let end = () => {}
  const fake = {
    fullname: 'a test',
    teardown(run: () => void) {
      end = run
    },
    fail: (name: string, { told }: { told: unknown }) => void failures.push({ name, told }),
  }
  holdToSilence(fake as unknown as Test, { ...keepLog(), lines }, () => url)
  return { failures, end: () => end() }
}

function note(exchange: { headers?: Record<string, string>; body?: unknown; answer?: unknown }, url = URL): void {
  noteSecrets({ url: `${url}/rooms`, headers: {}, body: undefined, answer: undefined, ...exchange })
}

for (const [what, exchange] of [
  ['a password', { body: { password: 'canary-1' } }],
  ['a token in a header', { headers: { Authorization: 'Bearer canary-1' } }],
  ['a token in an answer', { answer: { participant: {}, token: 'canary-1' } }],
  ['a host token', { answer: { room: {}, hostToken: 'canary-1' } }],
  ['a prompt', { body: { messages: [{ role: 'user', content: 'canary-1' }] } }],
  ['a prompt in parts', { body: { messages: [{ content: [{ type: 'text', text: 'canary-1' }] }] } }],
  ['a prompt of another API', { body: { prompt: ['canary-1'] } }],
  ['an answer', { answer: { choices: [{ message: { content: 'canary-1' } }] } }],
] as const) {
  t.test(`${what} in a log makes the test fail at its end`, async (t) => {
    note(exchange)
    const { failures, end } = watch(['{"msg":"x"}\n', '{"msg":"it is canary-1!"}\n'], URL)
    end()
    t.strictSame(failures, [{ name: 'the hub logs no secret', told: ['canary-1'] }])
  })
}

t.test('a log without a secret does not', async (t) => {
  note({ body: { password: 'canary-1', name: 'Kitchen' }, answer: { token: 'canary-2' } })
  const { failures, end } = watch(['{"name":"Kitchen","msg":"canary"}\n'], URL)
  end()
  t.strictSame(failures, [])
})

t.test('a secret of another hub is none of this one’s', async (t) => {
  note({ body: { password: 'canary-1' } }, 'http://127.0.0.1:10')
  const { failures, end } = watch(['canary-1\n'], URL)
  end()
  t.strictSame(failures, [])
})

t.test('what is too short, or a mere word, stands in a log by chance', async (t) => {
  note({ body: { password: 'password', messages: [{ content: 'Hi' }] } })
  const { failures, end } = watch(['{"msg":"Hi, a room has a password"}\n'], URL)
  end()
  t.strictSame(failures, [])
})

t.test('a secret is found whatever JSON does to it', async (t) => {
  const secret = 'a "long" secret\nof two lines'
  note({ body: { password: secret } })
  const { failures, end } = watch([`${JSON.stringify({ body: JSON.stringify({ password: secret }) })}\n`], URL)
  end()
  t.equal(failures.length, 1)
})

t.test('a secret is found in the bytes of a buffer', async (t) => {
  const line = JSON.stringify({ err: { rawPacket: Buffer.from('Authorization: Bearer canary-1') } })
  t.strictSame(findSecrets([line], ['canary-1', 'canary-2']), ['canary-1'])
})

t.test('what the helpers send and hear is noted: a hub that logged it would be found out', async (t) => {
  const { url } = await startHub(t)
  const { room, hostToken } = await openRoom(url, { name: 'Vault', password: 'canary-password' })
  const { token } = await join(url, room.code, { password: 'canary-password' })
  await call('GET', `${url}/rooms`, undefined, { authorization: 'Bearer canary-header' })
  const { failures, end } = watch(['canary-password', hostToken, token, 'canary-header'], url)
  end()
  t.strictSame(new Set(failures[0]?.told as string[]), new Set(['canary-password', hostToken, token, 'canary-header']))
})
