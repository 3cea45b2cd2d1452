import type { Test } from 'tap'
import { hashToken } from '../../../plugins/access/tokens.ts'
import type { Claim, RoomStore } from '../../../plugins/room-store/store.ts'
import {
  ALICE,
  byAddress,
  byToken,
  FROM_ELSEWHERE,
  FROM_HERS,
  NOBODY,
  newcomer,
  openRoomWith,
  type StoreDriver,
  showing,
  storeTests,
} from './kit.ts'

export function ownership(t: Test, driver: StoreDriver): void {
  proof(t, driver)
  refusal(t, driver)
  rejoiningByToken(t, driver)
  rejoiningByAddress(t, driver)
}

/** All that a claim can be good for, tried one after the other. */
async function may(store: RoomStore, roomId: string, claim: Claim): Promise<boolean> {
  return store.heartbeat(roomId, 'alice', claim, 2000).then(
    () => true,
    (error: { code: string }) => {
      if (error.code !== 'PTL_TOKEN_REQUIRED') throw error
      return false
    },
  )
}

function proof(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)

  test('the token speaks for its participant from any address', async (t, store) => {
    const roomId = await openRoomWith(store)
    t.ok(await may(store, roomId, { ...ALICE, ...FROM_ELSEWHERE }))
    t.equal((await store.leave(roomId, 'alice', ALICE)).participant.id, 'alice')
  })

  test('the address speaks for it while its token was never used', async (t, store) => {
    const roomId = await openRoomWith(store)
    for (let beat = 0; beat < 3; beat++) t.ok(await may(store, roomId, FROM_HERS))
    t.equal((await store.leave(roomId, 'alice', FROM_HERS)).participant.id, 'alice')
  })

  // What a base client sends besides is nobody's business: an unknown token is ignored.
  test('a wrong token does not spoil the right address', async (t, store) => {
    const roomId = await openRoomWith(store)
    t.ok(await may(store, roomId, { ...byToken('wrong'), ...FROM_HERS }))
  })

  test('the address is worth nothing once the token was used', async (t, store) => {
    const roomId = await openRoomWith(store)
    t.ok(await may(store, roomId, ALICE))
    t.notOk(await may(store, roomId, FROM_HERS))
    await t.rejects(store.leave(roomId, 'alice', FROM_HERS), { code: 'PTL_TOKEN_REQUIRED' })
    await t.rejects(store.join(roomId, newcomer(), FROM_HERS), { code: 'PTL_PARTICIPANT_ID_TAKEN' })
  })

  test('a token that comes with the right address counts as used', async (t, store) => {
    const roomId = await openRoomWith(store)
    t.ok(await may(store, roomId, { ...ALICE, ...FROM_HERS }))
    t.notOk(await may(store, roomId, FROM_HERS))
  })
}

function refusal(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)
  const wrong: Record<string, Claim> = {
    'no claim': NOBODY,
    'another token': byToken('wrong'),
    'the hash of the token’s hash': { tokenHash: hashToken(hashToken('alice-token')) },
    'a part of the hash': { tokenHash: hashToken('alice-token').slice(0, 32) },
    'no hash at all': { tokenHash: '' },
    'another address': FROM_ELSEWHERE,
    'an empty address': byAddress(''),
  }

  for (const [name, claim] of Object.entries(wrong)) {
    test(`${name} owns nothing`, async (t, store) => {
      const roomId = await openRoomWith(store)
      await t.rejects(store.heartbeat(roomId, 'alice', claim, 2000), { code: 'PTL_TOKEN_REQUIRED' })
      await t.rejects(store.leave(roomId, 'alice', claim), { code: 'PTL_TOKEN_REQUIRED' })
      await t.rejects(store.join(roomId, newcomer(), claim), { code: 'PTL_PARTICIPANT_ID_TAKEN' })
    })
  }

  test('where addresses prove nothing, none of them does', async (t, store) => {
    const roomId = await openRoomWith(store, { address: null })
    t.notOk(await may(store, roomId, NOBODY))
    t.notOk(await may(store, roomId, FROM_HERS))
    t.ok(await may(store, roomId, ALICE))
  })

  test('a refusal changes nothing', async (t, store) => {
    const roomId = await openRoomWith(store)
    const before = await store.getParticipant(roomId, 'alice')
    t.notOk(await may(store, roomId, FROM_ELSEWHERE))
    await t.rejects(store.join(roomId, newcomer({ nickname: 'Mallory', at: 5000 }), FROM_ELSEWHERE))
    t.strictSame(await store.getParticipant(roomId, 'alice'), before)
  })
}

function rejoiningByToken(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)
  const again = newcomer({ nickname: 'Alice again', at: 5000, token: 'second-token', address: '10.0.0.2' })

  test('an owner that comes back with its token is what it now says it is', async (t, store) => {
    const roomId = await openRoomWith(store, { slots: 2 })
    const { participant } = await store.join(roomId, again, ALICE)
    t.strictSame(participant, again.participant)
    t.strictSame(await showing(store, roomId, 'alice'), again.participant)
  })

  test('it keeps the token that it has', async (t, store) => {
    const roomId = await openRoomWith(store)
    const { owner } = await store.join(roomId, again, ALICE)
    t.equal(owner.tokenHash, hashToken('alice-token'))
    t.notOk(await may(store, roomId, byToken('second-token')))
    t.ok(await may(store, roomId, ALICE))
  })

  test('its token was used thereby, so no address speaks for it', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.join(roomId, again, ALICE)
    t.notOk(await may(store, roomId, byAddress('10.0.0.2')))
    t.notOk(await may(store, roomId, FROM_HERS))
  })

  test('it may come back any number of times', async (t, store) => {
    const roomId = await openRoomWith(store)
    for (const token of ['second', 'third']) await store.join(roomId, newcomer({ token }), ALICE)
    t.ok(await may(store, roomId, ALICE))
  })
}

function rejoiningByAddress(t: Test, driver: StoreDriver): void {
  const test = storeTests(t, driver)
  const again = newcomer({ at: 5000, token: 'second-token' })

  test('an owner known by its address gets the new token, and the old one is void', async (t, store) => {
    const roomId = await openRoomWith(store)
    const { owner } = await store.join(roomId, again, FROM_HERS)
    t.strictSame(owner, again.owner)
    t.notOk(await may(store, roomId, ALICE))
    t.ok(await may(store, roomId, byToken('second-token')))
  })

  test('its address goes on speaking for it', async (t, store) => {
    const roomId = await openRoomWith(store)
    for (let round = 0; round < 3; round++) await store.join(roomId, again, FROM_HERS)
    t.ok(await may(store, roomId, FROM_HERS))
  })

  test('a participant that is away is as much its owner’s', async (t, store) => {
    const roomId = await openRoomWith(store)
    await store.takeSilent(100_000, 30_000)
    await t.rejects(store.join(roomId, again, FROM_ELSEWHERE), { code: 'PTL_PARTICIPANT_ID_TAKEN' })
    const { participant } = await store.join(roomId, again, FROM_HERS)
    t.equal(participant.status, 'online')
  })
}
