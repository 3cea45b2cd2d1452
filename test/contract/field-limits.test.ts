import t, { type Test } from 'tap'
import { call, openRoom, startHub } from '../support/hub.ts'

const ALICE = { id: 'alice', nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

/** A text of exactly that length in the form that the field wants. */
const TEXTS: Record<string, (length: number) => string> = {
  nickname: (length) => 'n'.repeat(length),
  id: (length) => 'i'.repeat(length),
  model: (length) => 'm'.repeat(length),
  endpoint: (length) => 'http://127.0.0.1:1/'.padEnd(length, 'e'),
}

const LIMITS = { nickname: 60, id: 64, model: 200, endpoint: 2048 } as const

async function tryJoin(t: Test, body: object) {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  return call('POST', `${url}/rooms/${room.code}/join`, { ...ALICE, ...body })
}

for (const [field, limit] of Object.entries(LIMITS)) {
  const textOf = TEXTS[field] as (length: number) => string

  t.test(`${field}: ${limit} characters are accepted`, async (t) => {
    t.equal((await tryJoin(t, { [field]: textOf(limit) })).status, 201)
  })

  t.test(
    `${field}: more than ${limit} characters are refused with a sentence that names field and limit`,
    async (t) => {
      const { status, body } = await tryJoin(t, { [field]: textOf(limit + 1) })
      t.equal(status, 400)
      t.match(body.error, new RegExp(`^${field} must be .*${limit}`))
    },
  )
}

t.test('name: 80 characters are accepted, more are refused with a sentence', async (t) => {
  const { url } = await startHub(t)
  t.equal((await call('POST', `${url}/rooms`, { name: 'r'.repeat(80) })).status, 201)
  const { status, body } = await call('POST', `${url}/rooms`, { name: 'r'.repeat(81) })
  t.equal(status, 400)
  t.match(body.error, /^name must be .*80/)
})

t.test('an over-long text is not repeated in the error', async (t) => {
  const { body } = await tryJoin(t, { nickname: 'n'.repeat(5000) })
  t.ok(JSON.stringify(body).length < 300)
})

t.test('names of any script are accepted', async (t) => {
  const { url } = await startHub(t)
  for (const name of ['Küche', '台所', 'مطبخ', '🍲 potluck 🥗', 'a"b\\c', '<b>bold</b>']) {
    const { status, body } = await call<{ room: { name: string } }>('POST', `${url}/rooms`, { name })
    t.equal(status, 201, name)
    t.equal(body.room.name, name)
  }
})
