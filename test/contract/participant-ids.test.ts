import t from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'

const ENTRY = { nickname: 'Alice', model: 'llama3.2:3b', endpoint: 'http://127.0.0.1:1' }

t.test('participant ids are 1 to 64 of `A–Z a–z 0–9 . _ : -`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const ids = ['a', 'Z', '7', '-', '_', ':', '...', '.a', 'Az09._:-', 'x'.repeat(64), crypto.randomUUID()]
  for (const id of ids) t.equal((await join(url, room.code, { id })).participant.id, id)
})

t.test('every id that may join may also leave: it stands alone in a path', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  for (const id of ['-', ':', '...', '.a', 'Az09._:-', 'x'.repeat(64)]) {
    await join(url, room.code, { id })
    t.equal((await call('DELETE', `${url}/rooms/${room.code}/leave/${id}`)).status, 200, id)
  }
})

t.test('other ids are refused with a sentence that says what an id may be', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  const odd = [
    '.',
    '..',
    'a b',
    'a/b',
    'a\\b',
    'a%41',
    'ä',
    'a\n',
    '\r\nx: y',
    'a\u0000',
    'a?b',
    'a#b',
    '*',
    'x'.repeat(65),
  ]
  for (const id of odd) {
    const { status, body } = await call('POST', `${url}/rooms/${room.code}/join`, { ...ENTRY, id })
    t.equal(status, 400, JSON.stringify(id))
    t.match(body.error, /^id must be 1 to 64 of A–Z a–z 0–9 \. _ : -/)
  }
})

t.test('ids differ by case: `Alice` is not `alice`', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  await join(url, room.code, { id: 'Alice' })
  t.equal((await call('DELETE', `${url}/rooms/${room.code}/leave/alice`)).status, 404)
})
