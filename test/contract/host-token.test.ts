import t, { type Test } from 'tap'
import { call, join, openRoom, startHub } from '../support/hub.ts'

async function startRoom(t: Test) {
  const { url } = await startHub(t)
  const opened = await openRoom(url, { name: 'Kitchen' })
  const { token } = await join(url, opened.room.code)
  const base = `${url}/rooms/${opened.room.code}`
  const as = (credential?: string): Record<string, string> =>
    credential === undefined ? {} : { authorization: `Bearer ${credential}` }
  return {
    ...opened,
    url,
    participantToken: token,
    rename: (credential?: string) => call('PATCH', base, { name: 'Mine' }, as(credential)),
    close: (credential?: string) => call('DELETE', base, undefined, as(credential)),
    remove: (credential?: string) => call('DELETE', `${base}/participants/alice`, undefined, as(credential)),
  }
}

t.test('`hostId` proves nothing: sent as a token it changes, closes and removes nothing', async (t) => {
  const { url, hostId, rename, close, remove } = await startRoom(t)
  for (const act of [rename, close, remove]) t.equal((await act(hostId)).status, 401)
  const { body } = await call<{ rooms: object[] }>('GET', `${url}/rooms`)
  t.hasStrict(body.rooms, [{ name: 'Kitchen', participantCount: 1 }])
})

t.test('401: no credential or a wrong one', async (t) => {
  const { rename, close, remove } = await startRoom(t)
  for (const act of [rename, close, remove]) {
    t.equal((await act()).status, 401)
    t.equal((await act('guessed')).status, 401)
  }
})

t.test('403: a right one of the wrong role', async (t) => {
  const { participantToken, rename, close, remove } = await startRoom(t)
  for (const act of [rename, close, remove]) t.equal((await act(participantToken)).status, 403)
})

t.test('the host of one room is nobody in another', async (t) => {
  const { url, rename, close } = await startRoom(t)
  const { hostToken } = await openRoom(url)
  for (const act of [rename, close]) t.equal((await act(hostToken)).status, 401)
})

t.test('`hostToken` proves who is host', async (t) => {
  const { hostToken, rename, close, remove } = await startRoom(t)
  for (const act of [rename, remove, close]) t.equal((await act(hostToken)).status, 200)
})

t.test('a paused participant is `busy` with `paused: true`: there is no fourth status', async (t) => {
  const { url, room, participantToken } = await startRoom(t)
  const headers = { authorization: `Bearer ${participantToken}` }
  const path = `${url}/rooms/${room.code}/participants/alice`
  const { body } = await call<{ participant: object }>('PATCH', path, { paused: true }, headers)
  t.hasStrict(body.participant, { status: 'busy', paused: true })
})
