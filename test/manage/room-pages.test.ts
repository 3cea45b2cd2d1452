import t, { type Test } from 'tap'
import type { ListedRoom } from '../../schemas/room.ts'
import { type Answer, call, type OpenRoom, openRoom, startHub } from '../support/hub.ts'
import { bearer } from '../support/managed.ts'

type Page = Answer<{ rooms: ListedRoom[]; cursor?: string; error?: string }>

async function startRooms(t: Test, names: readonly string[]) {
  const { url } = await startHub(t)
  const opened = new Map<string, OpenRoom>()
  for (const name of names) opened.set(name, await openRoom(url, { name }))
  const page = (query: Record<string, string | number> = {}): Promise<Page> =>
    call('GET', `${url}/rooms?${new URLSearchParams(query as Record<string, string>)}`)
  const close = async (name: string) => {
    const { room, hostToken } = opened.get(name) as OpenRoom
    await call('DELETE', `${url}/rooms/${room.code}`, undefined, bearer(hostToken))
  }
  return { url, page, close }
}

function namesOf({ body }: Page): string[] {
  return body.rooms.map(({ name }) => name)
}

/** All pages, one after the other; a list that never ends is stopped. */
async function pagesOf(page: (query: Record<string, string | number>) => Promise<Page>, limit: number) {
  const found: string[][] = []
  let cursor: string | undefined
  do {
    const answer = await page({ limit, ...(cursor === undefined ? {} : { cursor }) })
    found.push(namesOf(answer))
    cursor = answer.body.cursor
  } while (cursor !== undefined && found.length < 20)
  return found
}

t.test('without a query the list is whole, in the shape of the base', async (t) => {
  const { page } = await startRooms(t, ['a', 'b', 'c'])
  const { body } = await page()
  t.strictSame(Object.keys(body), ['rooms'])
  t.strictSame(
    body.rooms.map((room) => Object.keys(room).sort()),
    Array(3).fill(['code', 'createdAt', 'hostId', 'id', 'name', 'participantCount']),
  )
})

t.test('a query that the hub does not know is none', async (t) => {
  const { page } = await startRooms(t, ['a', 'b'])
  t.strictSame(Object.keys((await page({ page: 2, sort: 'name' })).body), ['rooms'])
})

t.test('pages follow each other without a gap; the last one has no cursor', async (t) => {
  const { page } = await startRooms(t, ['a', 'b', 'c', 'd', 'e'])
  t.strictSame(await pagesOf(page, 2), [['a', 'b'], ['c', 'd'], ['e']])
  t.strictSame(await pagesOf(page, 5), [['a', 'b', 'c', 'd', 'e']])
  t.strictSame(await pagesOf(page, 1000), [['a', 'b', 'c', 'd', 'e']])
})

t.test('a hub without rooms: one page, empty, no cursor', async (t) => {
  const { page } = await startRooms(t, [])
  t.strictSame((await page({ limit: 1 })).body, { rooms: [] })
})

t.test('a cursor without a limit goes on', async (t) => {
  const { page } = await startRooms(t, ['a', 'b', 'c'])
  const { cursor = '' } = (await page({ limit: 1 })).body
  t.strictSame(namesOf(await page({ cursor })), ['b', 'c'])
})

t.test('the same cursor gives the same page again', async (t) => {
  const { page } = await startRooms(t, ['a', 'b', 'c'])
  const { cursor = '' } = (await page({ limit: 1 })).body
  const first = await page({ cursor, limit: 1 })
  t.strictSame((await page({ cursor, limit: 1 })).body, first.body)
})

t.test('each page may have a limit of its own', async (t) => {
  const { page } = await startRooms(t, ['a', 'b', 'c', 'd', 'e'])
  const { cursor = '' } = (await page({ limit: 1 })).body
  const next = await page({ limit: 3, cursor })
  t.strictSame(namesOf(next), ['b', 'c', 'd'])
  t.strictSame(namesOf(await page({ limit: 9, cursor: next.body.cursor ?? '' })), ['e'])
})

t.test('rooms that close between two pages shift no other one', async (t) => {
  const { page, close } = await startRooms(t, ['a', 'b', 'c', 'd', 'e'])
  const { cursor = '' } = (await page({ limit: 2 })).body
  for (const gone of ['a', 'b', 'c']) await close(gone)
  t.strictSame(namesOf(await page({ limit: 2, cursor })), ['d', 'e'])
})

t.test('rooms that open between two pages come last', async (t) => {
  const { url, page } = await startRooms(t, ['a', 'b', 'c'])
  const { cursor = '' } = (await page({ limit: 2 })).body
  await openRoom(url, { name: 'd' })
  t.strictSame(namesOf(await page({ limit: 9, cursor })), ['c', 'd'])
})

t.test('while rooms come and go, who pages sees each room that stays exactly once', async (t) => {
  const staying = Array.from({ length: 30 }, (_, index) => `stays ${index}`)
  const { url, page, close } = await startRooms(
    t,
    staying.flatMap((name, index) => [name, `goes ${index}`]),
  )
  const seen: string[] = []
  let cursor: string | undefined
  for (let turn = 0; turn < 30; turn++) {
    const answer = await page({ limit: 7, ...(cursor === undefined ? {} : { cursor }) })
    seen.push(...namesOf(answer))
    cursor = answer.body.cursor
    if (cursor === undefined) break
    await Promise.all([close(`goes ${turn}`), close(`goes ${29 - turn}`), openRoom(url, { name: 'new' })])
  }
  t.strictSame(
    seen.filter((name) => name.startsWith('stays')),
    staying,
  )
  t.equal(new Set(seen.filter((name) => name !== 'new')).size, seen.filter((name) => name !== 'new').length)
})

t.test('when all that was left has closed, the next page is empty and the last', async (t) => {
  const { page, close } = await startRooms(t, ['a', 'b', 'c'])
  const { cursor = '' } = (await page({ limit: 1 })).body
  for (const gone of ['b', 'c']) await close(gone)
  t.strictSame((await page({ limit: 1, cursor })).body, { rooms: [] })
})

t.test('a cursor of another hub, or of an earlier run, is refused: 400', async (t) => {
  const [{ page }, other] = [await startRooms(t, ['a', 'b']), await startRooms(t, ['a', 'b'])]
  const { cursor = '' } = (await other.page({ limit: 1 })).body
  const { status, body } = await page({ cursor })
  t.equal(status, 400)
  t.match(body.error, /^cursor is not one that this hub gave out/)
})

t.test('a cursor that is garbage is refused: 400', async (t) => {
  const { page } = await startRooms(t, ['a', 'b'])
  const { cursor = '' } = (await page({ limit: 1 })).body
  const garbage = [
    '',
    ' ',
    'x',
    '0',
    '1',
    '-1',
    '../..',
    '%',
    'é',
    '\u0000',
    `${cursor}x`,
    `x${cursor}`,
    cursor.slice(1),
  ]
  for (const wrong of [...garbage, cursor.repeat(2), 'A'.repeat(5000), Buffer.from('x.1').toString('base64url')]) {
    const { status, body } = await page({ cursor: wrong, limit: 1 })
    t.equal(status, 400, JSON.stringify(wrong.slice(0, 30)))
    t.match(body.error, /^cursor /)
  }
})

t.test('a limit that is no whole number from 1 to 1000 is refused: 400', async (t) => {
  const { page } = await startRooms(t, ['a', 'b'])
  for (const limit of [
    '0',
    '-1',
    '1001',
    'x',
    '',
    ' ',
    '1.5',
    '1e3',
    '0x10',
    'NaN',
    'Infinity',
    'true',
    'null',
    '2x',
  ]) {
    const { status, body } = await page({ limit })
    t.equal(status, 400, JSON.stringify(limit))
    t.match(body.error, /^limit must be a whole number from 1 to 1000/)
  }
})

t.test('a limit or a cursor that is there twice is refused: 400', async (t) => {
  const { url } = await startRooms(t, ['a', 'b'])
  for (const query of ['limit=1&limit=2', 'cursor=a&cursor=b']) {
    t.equal((await call('GET', `${url}/rooms?${query}`)).status, 400, query)
  }
})

t.test('the bounds themselves are allowed', async (t) => {
  const { page } = await startRooms(t, ['a', 'b'])
  t.strictSame(namesOf(await page({ limit: 1 })), ['a'])
  t.strictSame(namesOf(await page({ limit: 1000 })), ['a', 'b'])
})
