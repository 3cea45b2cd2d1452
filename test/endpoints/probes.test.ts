import t, { type Test } from 'tap'
import type { Participant } from '../../schemas/participant.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { call } from '../support/hub.ts'
import { HERE, LAPTOP, startJoins } from '../support/joiners.ts'
import { answerModels } from '../support/probed.ts'

const SENTENCE = 'Its endpoint leads to an address that the hub does not connect to'

/** Joins with a name that leads there, is probed once, and says what became of it. */
async function probed(t: Test, address: string, from: string) {
  const family = address.includes(':') ? 6 : 4
  const joins = await startJoins(t, { resolver: (_name, callback) => callback(null, [{ address, family }]) })
  const llm = await startFakeLlm(t, answerModels)
  await joins.join(`http://gpu-box.lan:${llm.port}`, from, { id: 'alice', liveness: 'probe' })
  await (await joins.hub.app).healthMonitor.prober.tick()
  const { body } = await call<{ participant: Participant }>('GET', `${joins.base}/participants/alice`)
  const { status, offlineReason } = body.participant
  return { status, offlineReason, attempts: joins.attempts.list, asked: llm.requests.length }
}

t.test('a probe goes where its participant may have the hub connect to', async (t) => {
  t.hasStrict(await probed(t, '127.0.0.1', HERE), { status: 'online', asked: 1 })
})

t.test('and nowhere else', async (t) => {
  const nowhere = { status: 'offline', offlineReason: SENTENCE, attempts: [], asked: 0 }
  t.strictSame(await probed(t, '127.0.0.1', LAPTOP), nowhere)
  for (const address of ['169.254.169.254', 'fd00:ec2::254', 'fe80::1', '224.0.0.1', '8.8.8.8', '0.0.0.0'])
    for (const from of [LAPTOP, HERE]) t.strictSame(await probed(t, address, from), nowhere, address)
})
