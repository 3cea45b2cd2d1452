import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { call, join, startHub } from '../support/hub.ts'
import { bearer, manageRoom } from '../support/managed.ts'
import { readEvents } from '../support/sse.ts'
import { eventsSoFar } from '../support/wire.ts'

const CODE = 'LUNCH'

/** A room that was closed with somebody in it, and a new one of the same code. */
async function reopen(t: Test) {
  const { url } = await startHub(t)
  const old = await manageRoom(url, { name: 'Old', code: CODE, password: 'old sesame', defaults: { seed: 7 } })
  const { token } = await join(url, CODE, { password: 'old sesame' })
  const watcher = await readEvents(t, `${old.base}/events`, bearer(token))
  await old.changeParticipant('alice', { paused: true }, token)
  const { id: lastEventId = '' } = await watcher.next('participant:updated')
  await old.close()
  await watcher.ended
  return { url, old, token, lastEventId, fresh: await manageRoom(url, { name: 'New', code: CODE }) }
}

t.test('a closed code can be opened anew: another room, empty and open', async (t) => {
  const { url, old, fresh } = await reopen(t)
  t.equal(fresh.room.code, CODE)
  t.not(fresh.room.id, old.room.id)
  t.not(fresh.hostToken, old.hostToken)
  t.hasStrict((await fresh.view()).body.room, { name: 'New', participantCount: 0, protected: false, listed: true })
  t.strictSame((await call('GET', `${url}/rooms/${CODE}/participants`)).body, { participants: [] })
})

t.test('the old host is nobody in the new room', async (t) => {
  const { old, fresh } = await reopen(t)
  t.equal((await fresh.change({ name: 'Mine' }, old.asHost)).status, 401)
  t.equal((await fresh.close(old.asHost)).status, 401)
  t.equal((await fresh.view()).body.room.name, 'New')
})

t.test("an old participant's token is worth nothing in the new room", async (t) => {
  const { url, token, fresh } = await reopen(t)
  const old = bearer(token)
  const beat = await call('POST', `${fresh.base}/health`, { id: 'alice' }, old)
  t.strictSame([beat.status, beat.body], [404, { error: 'Participant not found' }])
  await join(url, CODE)
  t.equal((await fresh.changeParticipant('alice', { slots: 2 }, token)).status, 401)
  t.equal((await call('DELETE', `${fresh.base}/participants/alice`, undefined, old)).status, 401)
})

t.test('a participant that joins anew is a new one', async (t) => {
  const { url, token } = await reopen(t)
  const joined = await join(url, CODE)
  t.not(joined.token, token)
  t.hasStrict(joined.participant, { status: 'online' })
  t.notOk('paused' in joined.participant)
})

t.test('an old `Last-Event-ID` says `gap`, and nothing of the old room is told', async (t) => {
  const { url, lastEventId, old, fresh } = await reopen(t)
  const reader = await readEvents(t, `${fresh.base}/events`, { 'last-event-id': lastEventId })
  t.ok(await reader.next('gap'))
  t.strictSame(await eventsSoFar(url, reader), ['connected', 'gap'])
  t.notMatch(reader.frames.map(({ text }) => text).join('\n'), old.room.id)
})

t.test('the old defaults are gone', async (t) => {
  const { url, fresh } = await reopen(t)
  const { participant } = await join(url, CODE)
  t.strictSame((participant as Participant).config, {})
  t.notMatch(JSON.stringify((await fresh.view()).body), /"seed"/)
})

t.test('a cursor that a page ended with at the old room goes on behind it', async (t) => {
  const { url } = await startHub(t)
  const old = await manageRoom(url, { name: 'Old', code: CODE })
  await manageRoom(url, { name: 'Between' })
  const { cursor } = (await call<{ cursor: string }>('GET', `${url}/rooms?limit=1`)).body
  await old.close()
  await manageRoom(url, { name: 'New', code: CODE })
  const { body } = await call<{ rooms: { name: string }[] }>('GET', `${url}/rooms?cursor=${cursor}&limit=5`)
  t.strictSame(
    body.rooms.map(({ name }) => name),
    ['Between', 'New'],
  )
})
