import t from 'tap'
import { type Answer, call, type OpenRoom, openRoom, startHub } from '../support/hub.ts'
import { manageRoom } from '../support/managed.ts'

type Opened = Answer<OpenRoom & { error?: string }>

function open(url: string, code: unknown): Promise<Opened> {
  return call('POST', `${url}/rooms`, { name: 'Lab', code })
}

t.test('a code of one’s own choice, 4 to 12 of A–Z and 0–9 in any case, is kept in upper case', async (t) => {
  const { url } = await startHub(t)
  for (const code of ['LAB2', 'friday', 'O0I1L', 'aBcDeF123456', '0000']) {
    const { status, body } = await open(url, code)
    t.equal(status, 201, code)
    t.equal(body.room.code, code.toUpperCase())
    t.equal((await call('GET', `${url}/rooms/${code}`)).status, 200)
  }
})

t.test('a code that is taken, in whatever case: 409 with a sentence', async (t) => {
  const { url } = await startHub(t)
  await open(url, 'Friday')
  for (const code of ['FRIDAY', 'friday', 'fRiDaY']) {
    const { status, body } = await open(url, code)
    t.equal(status, 409, code)
    t.match(body.error, /code FRIDAY is in use/)
  }
  t.equal((await call<{ rooms: [] }>('GET', `${url}/rooms`)).body.rooms.length, 1)
})

t.test('a code that the hub made up is taken too', async (t) => {
  const { url } = await startHub(t)
  const { room } = await openRoom(url)
  t.equal((await open(url, room.code.toLowerCase())).status, 409)
})

t.test('the code of an unlisted room is taken too', async (t) => {
  const { url } = await startHub(t)
  await openRoom(url, { name: 'Hideout', code: 'HIDEOUT', listed: false })
  t.equal((await open(url, 'hideout')).status, 409)
})

t.test('of two who want a code at once one gets it', async (t) => {
  const { url } = await startHub(t)
  // Hashing a password takes a while between looking and taking.
  const body = { name: 'Lab', code: 'LAB2', password: 'open sesame' }
  const answers = await Promise.all([1, 2, 3].map(() => call('POST', `${url}/rooms`, body)))
  t.strictSame(answers.map(({ status }) => status).sort(), [201, 409, 409])
})

t.test('any other code: 400 with a sentence that says what it must be', async (t) => {
  const { url } = await startHub(t)
  const wrong = [
    '',
    'abc',
    'A'.repeat(13),
    'AB-CD',
    'AB CD',
    ' ABCD',
    'ABCD\n',
    'ABCÉ',
    'straße',
    'LAB２',
    1234,
    [],
    {},
  ]
  for (const code of [...wrong, true, 'a/b/c', '../..', 'A%42C']) {
    const { status, body } = await open(url, code)
    t.equal(status, 400, JSON.stringify(code))
    t.strictSame(body, { error: 'code must be 4 to 12 of A–Z and 0–9' })
  }
  t.strictSame((await call('GET', `${url}/rooms`)).body, { rooms: [] })
})

t.test('null or no code: the hub makes one up', async (t) => {
  const { url } = await startHub(t)
  for (const code of [null, undefined]) {
    const { status, body } = await open(url, code)
    t.equal(status, 201)
    t.match(body.room.code, /^[A-HJ-KM-NP-Z2-9]{6}$/)
  }
})

t.test('a code that was refused for being taken changes nothing in the room that has it', async (t) => {
  const { url } = await startHub(t)
  const { view } = await manageRoom(url, { name: 'First', code: 'LAB2' })
  const before = (await view()).body
  await call('POST', `${url}/rooms`, { name: 'Second', code: 'LAB2', password: 'x', listed: false })
  t.strictSame((await view()).body, before)
})

t.test('a code stays for as long as its room: a change does not touch it', async (t) => {
  const { url } = await startHub(t)
  const { change } = await manageRoom(url, { name: 'Lab', code: 'LAB2' })
  t.equal((await change({ code: 'LAB3' })).status, 400)
  t.equal((await change({ name: 'Lab 3' })).body.room.code, 'LAB2')
})
