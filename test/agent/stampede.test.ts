import t from 'tap'
import { createHub } from '../../src/hub.ts'
import { startAgent } from '../support/agents.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { openRoom } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { ownPort } from '../support/ports.ts'

const PARTICIPANTS = 200

for (const via of ['direct', 'tunnel'] as const) {
  t.test(`${via}: two hundred come back after a restart of the hub: not all at once, and none too late`, async (t) => {
    const llm = await startFakeLlm(t, tells(FINDABLE.ollama!(['a'])))
    const port = await ownPort()
    const first = createHub({ host: '127.0.0.1', port, graceMs: 100, learnIntervalMs: 0 })
    const url = await first.listen()
    await openRoom(url, { name: 'Kitchen', code: 'KITCHEN' })
    const stateDir = t.testdir({})
    const agents = []
    for (let number = 0; number < PARTICIPANTS; number += 1) {
      const id = `guest-${number}`
      const options = { hubUrl: url, code: 'KITCHEN', endpoint: llm.url, id, isOwnId: true, via }
      // All miss the hub within a second, as they do who hang on a connection; and the server is looked at by one of them.
      agents.push(await startAgent(t, { ...options, stateDir: `${stateDir}/${id}`, beatMs: 1000, watchMs: 600_000 }))
    }
    await first.close()
    await Promise.all(agents.map((agent) => agent.until('state', ({ state }) => state === 'reconnecting')))

    const hub = createHub({ host: '127.0.0.1', port, graceMs: 100, learnIntervalMs: 0 })
    t.teardown(() => hub.close())
    await hub.listen()
    await openRoom(url, { name: 'Kitchen', code: 'KITCHEN' })
    const startedAt = performance.now()
    const waits = await Promise.all(
      agents.map(async (agent) => {
        await agent.until('joined', () => true, 30_000)
        return performance.now() - startedAt
      }),
    )
    waits.sort((one, other) => one - other)
    const [earliest = 0, latest = 0] = [waits[0], waits.at(-1)]
    t.comment(`back between ${Math.round(earliest)} and ${Math.round(latest)} ms after the restart`)
    t.ok(latest - earliest >= 5000, 'spread over 5 s or more')
    // Within 20 s, as the line above shows; a machine that does other things as well takes longer to run them all.
    t.ok(latest <= 45_000, 'none too late')
    t.same(
      agents.map(({ membership }) => membership.id),
      Array.from({ length: PARTICIPANTS }, (_, number) => `guest-${number}`),
    )
  })
}
