import t from 'tap'
import { hashToken } from '../../plugins/access/tokens.ts'
import { afterUse, owns, ownsByToken, refuseCapture } from '../../plugins/room-store/ownership.ts'
import type { Claim, Owner } from '../../plugins/room-store/store.ts'
import { sameHash } from '../../schemas/hashes.ts'
import { participant } from '../support/participants.ts'

const OWNER: Owner = { tokenHash: hashToken('token'), tokenUsed: false, address: '10.0.0.1' }
const USED: Owner = { ...OWNER, tokenUsed: true }
const ADDRESSLESS: Owner = { tokenHash: hashToken('token'), tokenUsed: false }
const BY_TOKEN: Claim = { tokenHash: hashToken('token') }
const BY_ADDRESS: Claim = { address: '10.0.0.1' }

t.test('the token always owns', async (t) => {
  for (const owner of [OWNER, USED, ADDRESSLESS]) {
    t.ok(owns(owner, BY_TOKEN))
    t.ok(ownsByToken(owner, { ...BY_TOKEN, address: '10.0.0.9' }))
  }
})

t.test('the address owns until the token was used', async (t) => {
  t.ok(owns(OWNER, BY_ADDRESS))
  t.ok(owns(OWNER, { ...BY_ADDRESS, tokenHash: hashToken('unknown') }))
  t.notOk(ownsByToken(OWNER, BY_ADDRESS))
  t.notOk(owns(USED, BY_ADDRESS))
})

t.test('nothing, and what is wrong, owns nothing', async (t) => {
  const wrong: Claim[] = [{}, { address: '10.0.0.2' }, { address: '' }, { tokenHash: '' }, { tokenHash: 'token' }]
  for (const owner of [OWNER, USED, ADDRESSLESS]) for (const claim of wrong) t.notOk(owns(owner, claim))
})

t.test('where addresses prove nothing, a claim without one does not either', async (t) => {
  t.notOk(owns(ADDRESSLESS, {}))
  t.notOk(owns(ADDRESSLESS, BY_ADDRESS))
})

t.test('a token counts as used from its first use', async (t) => {
  t.strictSame(afterUse(OWNER, BY_TOKEN), USED)
  t.strictSame(afterUse(OWNER, { ...BY_TOKEN, ...BY_ADDRESS }), USED)
})

t.test('where nothing changes the owner is the very same', async (t) => {
  t.equal(afterUse(OWNER, BY_ADDRESS), OWNER)
  t.equal(afterUse(USED, BY_TOKEN), USED)
})

t.test('hashes are the same, or not; other lengths are not', async (t) => {
  t.ok(sameHash(hashToken('a'), hashToken('a')))
  t.notOk(sameHash(hashToken('a'), hashToken('b')))
  t.notOk(sameHash(hashToken('a'), hashToken('a').slice(1)))
  t.notOk(sameHash('', hashToken('a')))
})

const room = (models: string[], ids: string[]) => ({
  offersModel: (name: string) => models.includes(name),
  hasParticipant: (id: string) => ids.includes(id),
})

t.test('an id that is a model on offer, or one of its own, is refused', async (t) => {
  const refused = (id: string, models: string[], offered: string[]) =>
    t.throws(() => refuseCapture(participant({ id, models }), room(offered, [])), {
      code: 'PTL_ID_IS_MODEL',
      statusCode: 409,
    })
  refused('phi4', ['x'], ['phi4'])
  refused('phi4:latest', ['x'], ['phi4'])
  refused('phi4', ['x', 'phi4:latest'], [])
  refused('phi4:latest', ['phi4'], [])
})

t.test('a model that is somebody’s id is refused', async (t) => {
  const refused = (models: string[], ids: string[]) =>
    t.throws(() => refuseCapture(participant({ models }), room([], ids)), { code: 'PTL_MODEL_IS_ID', statusCode: 409 })
  refused(['x', 'bob'], ['bob'])
  refused(['bob:latest'], ['bob'])
  refused(['bob'], ['bob:latest'])
})

t.test('everything else may come in', async (t) => {
  const entry = participant({ id: 'alice', models: ['phi4', 'llama3:8b'] })
  t.doesNotThrow(() => refuseCapture(entry, room(['phi4', 'llama3:8b', 'qwen3'], ['alice', 'bob', 'llama3'])))
})
