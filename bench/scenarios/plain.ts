import type { Scenario } from '../bench.ts'
import { judgeCpu, tableOf, takeTurns } from '../rounds.ts'

const EVERYBODY = [
  'direct',
  'nginx',
  'bare',
  'potluck-silent',
  'potluck-1',
  'potluck-100',
  'potluck-1000',
  'portkey',
  'olla',
  'bifrost',
  'litellm',
]

export const plain: Scenario = {
  name: 'plain',
  async run(bench) {
    const rounds = await takeTurns(bench, EVERYBODY, { wish: { kind: 'plain' }, connections: 64 })
    return {
      title: 'Completions in one piece',
      method: 'Requests and answers of 1 KB, with usage, not streamed, over 64 keep-alive connections.',
      verdicts: judgeCpu(rounds, [
        { of: 'potluck-1', to: 'bare', atMost: 1.3 },
        { of: 'potluck-silent', to: 'bare', atMost: 1 },
        { of: 'potluck-1', to: 'portkey', atMost: 0.12 },
        { of: 'potluck-1', to: 'olla', atMost: 1, isWanted: true },
        { of: 'potluck-1', to: 'bifrost', atMost: 1, isWanted: true },
        { of: 'potluck-1', to: 'litellm' },
        { of: 'potluck-1', to: 'nginx' },
        { of: 'potluck-100', to: 'potluck-1' },
        { of: 'potluck-1000', to: 'potluck-1' },
      ]),
      tables: [tableOf(rounds, 'request')],
      notes: rounds.notes,
    }
  },
}
