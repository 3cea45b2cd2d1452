import { request } from 'node:http'
import t, { type Test } from 'tap'
import { readRoomKey } from '../../plugins/access/root-rooms.ts'
import type { HubOptions } from '../../src/hub.ts'
import { BEHIND_PROXY, from, mintKey } from '../support/access.ts'
import { manualClock } from '../support/clock.ts'
import { readError } from '../support/error-shapes.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { keepLog } from '../support/secret-log.ts'
import { eventually, send } from '../support/wire.ts'

t.test('a key is a code, a code with what is sent to the room, or a personal key', async (t) => {
  const personal = 'potluck-KITCHEN-abcdef'
  const keys: Record<string, ReturnType<typeof readRoomKey>> = {
    KITCHEN: { code: 'KITCHEN' },
    kitchen: { code: 'kitchen' },
    'KITCHEN:': { code: 'KITCHEN' },
    'KITCHEN:open sesame': { code: 'KITCHEN', credential: 'open sesame' },
    'KITCHEN:a:b::c': { code: 'KITCHEN', credential: 'a:b::c' },
    'KITCHEN: ': { code: 'KITCHEN', credential: ' ' },
    'KITCHEN:пароль\nx': { code: 'KITCHEN', credential: 'пароль\nx' },
    [personal]: { code: 'KITCHEN', credential: personal },
    ABC: undefined,
    ABCDEFGHIJKLM: undefined,
    'KIT-CHEN': undefined,
    'sk-proj-1234': undefined,
    ' KITCHEN': undefined,
    ':KITCHEN': undefined,
    'potluck-KITCHEN': undefined,
    '': undefined,
  }
  for (const [key, expected] of Object.entries(keys)) t.strictSame(readRoomKey(key), expected, JSON.stringify(key))
})

t.test('what people write where no key is needed names no room, unless a colon says so', async (t) => {
  for (const word of [
    'ollama',
    'OLLAMA',
    'none',
    'None',
    'dummy',
    'test',
    'EMPTY',
    'apikey',
    'placeholder',
    'unused',
    'lmstudio',
  ]) {
    t.equal(readRoomKey(word), undefined, word)
    t.strictSame(readRoomKey(`${word}:`), { code: word }, `${word}:`)
    t.strictSame(readRoomKey(`${word}:x`), { code: word, credential: 'x' }, `${word}:x`)
  }
})

interface NewRoom {
  code: string
  password?: string
  listed?: boolean
}

/** A hub with these rooms, and in each one participant that is called as the room. */
async function openHouse(t: Test, rooms: readonly NewRoom[], options: HubOptions = {}) {
  const [{ url }, llm] = [await startHub(t, options), await startFakeLlm(t)]
  const managed = []
  for (const room of rooms) {
    const opened = await manageRoom(url, { name: 'House', ...room })
    const password = room.password === undefined ? {} : { password: room.password }
    const cook = { id: room.code, nickname: 'Cook', model: `model-${room.code}`, endpoint: llm.url, ...password }
    // Who joins from the hub's own machine may bring a loopback address, also behind a proxy.
    t.equal((await call('POST', `${opened.base}/join`, cook, from('::1'))).status, 201)
    managed.push(opened)
  }
  /** Whose participant answers at the root; else why not. */
  const ask = async (headers: Record<string, string> = {}): Promise<string> => {
    const body = { model: '*', messages: [] }
    const answer = await call<{ error?: { code: string } }>('POST', `${url}/v1/chat/completions`, body, headers)
    return answer.headers.get('x-potluck-participant') ?? `${answer.status} ${answer.body.error?.code}`
  }
  return { url, llm, ask, rooms: managed }
}

const apiKey = (key: string) => ({ 'x-api-key': key })

const TWO: NewRoom[] = [{ code: 'KITCHEN' }, { code: 'CELLAR' }]
const NOT_NAMED = '404 PTL_ROOM_NOT_NAMED'

t.test('the key names the room, in any case, by either header', async (t) => {
  const { ask } = await openHouse(t, TWO)
  for (const headersOf of [bearer, apiKey]) {
    t.equal(await ask(headersOf('KITCHEN')), 'KITCHEN')
    t.equal(await ask(headersOf('cellar')), 'CELLAR')
    t.equal(await ask(headersOf('CeLLaR:')), 'CELLAR')
    t.equal(await ask(headersOf('kitchen:whatever, it is open')), 'KITCHEN')
  }
  t.equal(await ask({ ...bearer('CELLAR'), ...apiKey('CELLAR') }), 'CELLAR')
})

t.test('without a key that names one, several rooms are one too many', async (t) => {
  const { ask, llm } = await openHouse(t, TWO)
  t.equal(await ask(), NOT_NAMED)
  for (const key of ['NOSUCH', 'sk-1234', 'ollama', 'none', 'x', 'KITCHENS', 'KITCHEN CELLAR', 'NOSUCH:KITCHEN']) {
    t.equal(await ask(bearer(key)), NOT_NAMED, key)
    t.equal(await ask(apiKey(key)), NOT_NAMED, key)
  }
  t.equal(llm.requests.length, 0)
})

t.test('without a key the only room serves, and with one that names none', async (t) => {
  const { ask } = await openHouse(t, [{ code: 'KITCHEN' }])
  t.equal(await ask(), 'KITCHEN')
  for (const key of ['NOSUCH', 'NOSUCH:x', 'sk-1234', 'ollama', 'none']) t.equal(await ask(bearer(key)), 'KITCHEN', key)
})

t.test('where there is no room at all, that is told with what to do', async (t) => {
  const { url } = await openHouse(t, [])
  for (const [path, status] of [
    ['/v1/chat/completions', 404],
    ['/v1/messages', 404],
    ['/api/chat', 404],
  ] as const) {
    const answer = await send('POST', `${url}${path}`, { body: '{}' })
    t.equal(answer.status, status)
    t.match(
      readError(path, answer.text).message,
      /^Which room\? Put it into the base URL \(\/rooms\/CODE\/v1\), or send its code as API key/,
    )
  }
})

t.test('an unlisted room is never found without its code', async (t) => {
  const { ask } = await openHouse(t, [{ code: 'HIDDEN', listed: false }])
  t.equal(await ask(), NOT_NAMED)
  t.equal(await ask(bearer('ollama')), NOT_NAMED)
  t.equal(await ask(bearer('hidden')), 'HIDDEN')
})

t.test('nor does it make a listed one one of several', async (t) => {
  const { ask } = await openHouse(t, [{ code: 'HIDDEN', listed: false }, { code: 'KITCHEN' }])
  t.equal(await ask(), 'KITCHEN')
  t.equal(await ask(bearer('HIDDEN')), 'HIDDEN')
})

t.test('the default room serves whoever names none, listed or not, in any case', async (t) => {
  for (const listed of [true, false]) {
    const { ask } = await openHouse(t, [...TWO, { code: 'SALON', listed }], { defaultRoom: 'salon' })
    t.equal(await ask(), 'SALON')
    t.equal(await ask(bearer('none')), 'SALON')
    t.equal(await ask(bearer('NOSUCH')), 'SALON')
    t.equal(await ask(bearer('CELLAR')), 'CELLAR')
  }
})

t.test('a default room that does not exist is none, and no other one stands in for it', async (t) => {
  const { ask } = await openHouse(t, [{ code: 'KITCHEN' }], { defaultRoom: 'SALON' })
  t.equal(await ask(), NOT_NAMED)
  t.equal(await ask(bearer('none')), NOT_NAMED)
  t.equal(await ask(bearer('KITCHEN')), 'KITCHEN')
})

t.test('a placeholder never finds the room of that name; a colon does', async (t) => {
  const { ask } = await openHouse(t, [{ code: 'OLLAMA' }, { code: 'KITCHEN' }, { code: 'NONE' }])
  for (const word of ['ollama', 'OLLAMA', 'none']) t.equal(await ask(bearer(word)), NOT_NAMED, word)
  t.equal(await ask(bearer('OLLAMA:')), 'OLLAMA')
  t.equal(await ask(bearer('ollama:')), 'OLLAMA')
  t.equal(await ask(apiKey('none:')), 'NONE')
})

const VAULT = { code: 'VAULT', password: 'a:b correct: horse' }

t.test('a locked room stays locked', async (t) => {
  const { ask, llm } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  t.equal(await ask(bearer('VAULT')), '401 PTL_PASSWORD_REQUIRED')
  t.equal(await ask(bearer('VAULT:')), '401 PTL_PASSWORD_REQUIRED')
  t.equal(await ask(bearer('VAULT:a')), '401 PTL_INVALID_PASSWORD')
  t.equal(await ask(apiKey('vault:correct: horse')), '401 PTL_INVALID_PASSWORD')
  t.equal(llm.requests.length, 0)
  t.equal(await ask(bearer(`VAULT:${VAULT.password}`)), 'VAULT', 'a password may have colons')
  t.equal(await ask(apiKey(`vault:${VAULT.password}`)), 'VAULT')
})

t.test('its own refusals have the shape of the path', async (t) => {
  const { url } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  for (const [path, type] of [
    ['/v1/chat/completions', 'authentication_error'],
    ['/v1/messages', 'authentication_error'],
    ['/api/chat', undefined],
  ] as const) {
    const answer = await send('POST', `${url}${path}`, { body: '{}', headers: apiKey('VAULT:wrong') })
    t.equal(answer.status, 401, path)
    t.match(
      readError(path, answer.text),
      { message: 'Invalid password', ...(type === undefined ? {} : { type }) },
      path,
    )
  }
})

t.test('where a locked room is the only one, or the default, the password alone opens it', async (t) => {
  const alone = await openHouse(t, [VAULT])
  t.equal(await alone.ask(), '401 PTL_PASSWORD_REQUIRED')
  t.equal(await alone.ask(bearer('wrong')), '401 PTL_INVALID_PASSWORD')
  t.equal(await alone.ask(bearer(VAULT.password)), 'VAULT')
  const byDefault = await openHouse(t, [...TWO, VAULT], { defaultRoom: 'VAULT' })
  t.equal(await byDefault.ask(apiKey(VAULT.password)), 'VAULT')
  t.equal(await byDefault.ask(bearer('ollama')), '401 PTL_INVALID_PASSWORD')
})

t.test('wrong passwords are throttled, here as below the room', async (t) => {
  const { url, ask } = await openHouse(t, [VAULT, { code: 'KITCHEN' }], { ...BEHIND_PROXY, guessesPerMinute: 3 })
  const guess = (address: string, key: string) => ask({ ...bearer(key), ...from(address) })
  for (let count = 0; count < 3; count++)
    t.equal(await guess('192.0.2.1', `VAULT:${count}`), '401 PTL_INVALID_PASSWORD')
  t.equal(await guess('192.0.2.1', 'VAULT:4'), '429 PTL_TOO_MANY_GUESSES')
  t.equal(await guess('192.0.2.1', `VAULT:${VAULT.password}`), '429 PTL_TOO_MANY_GUESSES', 'also the right one')
  const below = await call('GET', `${url}/rooms/VAULT/v1/models`, undefined, { ...bearer('5'), ...from('192.0.2.1') })
  t.equal(below.status, 429, 'it is one count')
  t.ok(Number(below.headers.get('retry-after')) > 0)
  t.equal(await guess('192.0.2.2', `VAULT:${VAULT.password}`), 'VAULT', 'others are not kept out')
  t.equal(await guess('192.0.2.1', 'KITCHEN'), 'KITCHEN', 'nor is anybody from other rooms')
})

t.test('so are those that name no room, where a locked one stands in', async (t) => {
  const { ask } = await openHouse(t, [VAULT], { guessesPerMinute: 3 })
  for (let count = 0; count < 3; count++) t.equal(await ask(bearer(`wrong ${count}`)), '401 PTL_INVALID_PASSWORD')
  t.equal(await ask(bearer('wrong again')), '429 PTL_TOO_MANY_GUESSES')
})

t.test('a personal key has its room in it, and its limits hold', async (t) => {
  const { ask, rooms } = await openHouse(t, [VAULT, { code: 'KITCHEN' }, { code: 'CELLAR' }], {
    // Budgets are for each minute of the clock.
    clock: manualClock(),
  })
  const [vault] = rooms
  const { key, id } = await mintKey(vault!, { name: 'Bob', requestsPerMinute: 2 })
  t.equal(await ask(bearer(key)), 'VAULT')
  t.equal(await ask(apiKey(key)), 'VAULT')
  t.equal(await ask(bearer(key)), '429 PTL_OVER_BUDGET')
  const { body } = await call<{ usage: { requests: number }[] }>(
    'GET',
    `${vault!.base}/usage`,
    undefined,
    vault!.asHost,
  )
  t.ok(JSON.stringify(body).includes(id))
  t.equal(await ask(bearer(`${key}x`)), '401 PTL_INVALID_PASSWORD', 'a made-up one opens nothing')
})

t.test('a key of another room is none of this one', async (t) => {
  const { ask, rooms } = await openHouse(t, [VAULT, { code: 'CELLAR', password: 'another one' }])
  const { key } = await mintKey(rooms[1]!)
  t.equal(await ask(bearer(key)), 'CELLAR')
  t.equal(await ask(bearer(`VAULT:${key}`)), '401 PTL_INVALID_PASSWORD')
})

t.test('a host’s token opens its room behind the code', async (t) => {
  const { ask, rooms } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  t.equal(await ask(bearer(`VAULT:${rooms[0]!.hostToken}`)), 'VAULT')
  t.equal(await ask(bearer(`VAULT:${rooms[1]!.hostToken}`)), '401 PTL_INVALID_PASSWORD')
})

t.test('two credentials that differ are one too many for a locked room', async (t) => {
  const { ask } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  const right = `VAULT:${VAULT.password}`
  t.equal(await ask({ ...bearer(right), ...apiKey('other') }), '400 PTL_CONFLICTING_CREDENTIALS')
  t.equal(await ask({ ...bearer(right), ...apiKey(right) }), 'VAULT')
  t.equal(await ask({ ...bearer('KITCHEN'), ...apiKey('other') }), 'KITCHEN', 'in an open one the first counts')
})

t.test('a room that was closed is named no more', async (t) => {
  const { ask, rooms } = await openHouse(t, TWO)
  t.equal((await rooms[1]!.close()).status, 200)
  t.equal(await ask(bearer('CELLAR')), 'KITCHEN', 'the key counts as none, and one room is left')
})

t.test('the lists at the root are the room’s own', async (t) => {
  const { url } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  const key = bearer(`VAULT:${VAULT.password}`)
  const { body: models } = await call<{ data: { id: string }[] }>('GET', `${url}/v1/models`, undefined, key)
  t.strictSame(
    models.data.map(({ id }) => id),
    ['model-VAULT', 'VAULT', '*'],
  )
  const { body: tags } = await call<{ models: { name: string }[] }>(
    'GET',
    `${url}/api/tags`,
    undefined,
    bearer('kitchen'),
  )
  t.strictSame(
    tags.models.map(({ name }) => name),
    ['model-KITCHEN'],
  )
  for (const path of ['/v1/models', '/api/tags', '/api/ps', '/api/version']) {
    t.equal((await send('GET', `${url}${path}`, { headers: bearer('VAULT') })).status, 401, path)
  }
})

t.test('Ollama’s clients see that a server is there, at the root and below a room', async (t) => {
  const { url } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  for (const path of ['/', '/rooms/KITCHEN/', '/rooms/KITCHEN', '/rooms/VAULT/']) {
    const { status, text } = await send('HEAD', `${url}${path}`)
    t.strictSame([status, text], [200, ''], path)
  }
  t.equal((await send('HEAD', `${url}/rooms/NOSUCH/`)).status, 404)
  t.match((await send('GET', `${url}/`)).text, /^Potluck is running/)
})

type Line = Record<string, unknown>

t.test('the log names the room that was chosen, and no key', async (t) => {
  const { logger, lines } = keepLog()
  const { url, ask } = await openHouse(t, [VAULT, { code: 'KITCHEN' }], { logger })
  const told = () =>
    lines.map((line) => JSON.parse(line) as Line).filter(({ route }) => route === '/v1/chat/completions')
  const lineOf = async (headers: Record<string, string>): Promise<Line> => {
    const before = told().length
    await ask(headers)
    await eventually(() => told().length > before, 'the line of the request')
    return told()[before] as Line
  }
  t.match(await lineOf(bearer('kitchen')), { room: 'KITCHEN', status: 200, participant: 'KITCHEN' })
  t.match(await lineOf(bearer(`VAULT:${VAULT.password}`)), { room: 'VAULT', status: 200 })
  t.match(await lineOf(bearer('VAULT:wrong one')), { room: 'VAULT', status: 401 })
  t.notOk('room' in (await lineOf({})))
  for (const secret of [VAULT.password, 'wrong one', 'correct']) {
    t.notOk(
      lines.some((line) => line.includes(secret)),
      `${secret} is not in the log`,
    )
  }
  t.ok(url.length > 0)
})

t.test('a body is not read for who may not enter', async (t) => {
  const { url } = await openHouse(t, [VAULT, { code: 'KITCHEN' }])
  for (const [key, status] of [
    ['VAULT:wrong', 401],
    ['NOSUCH', 404],
  ] as const) {
    const outgoing = request(`${url}/v1/chat/completions`, {
      method: 'POST',
      agent: false,
      headers: { 'content-length': '1000000', ...bearer(key) },
    }).on('error', () => {})
    t.teardown(() => outgoing.destroy())
    outgoing.flushHeaders()
    const { promise, resolve } = Promise.withResolvers<number | undefined>()
    outgoing.once('response', ({ statusCode }) => resolve(statusCode))
    t.equal(await promise, status, 'before a byte of it was sent')
  }
})
