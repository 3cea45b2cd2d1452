/**
 * What people feel: 30 people chat on 8 unequal machines, by each way of choosing among them, in the same run.
 *
 *   node bench/people.ts [--seconds 12] [--speed-up 30] [--people 30] [--greedy] [--url URL]
 *
 * `--url` sends the same people to any OpenAI-compatible URL, whatever balances behind it; `--machines` starts the machines
 * alone and says where they are, so that it can be told of them.
 */
import { parseArgs } from 'node:util'
import { type CrowdOptions, type Felt, runCrowd } from './people/crowd.ts'
import { MACHINES, startMachine } from './people/machines.ts'
import { POLICIES, type Policy, remote } from './people/policies.ts'

export interface Feeling {
  policy: string
  requests: number
  p50Ms: number
  p95Ms: number
  /** Jain's index over how much each of the others got: 1 is equal. */
  fairness: number
}

/** One run by one policy, with machines of its own. The greedy person's own times are left out. */
export async function feel(policy: Policy, options: CrowdOptions): Promise<Feeling> {
  const machines = await Promise.all(MACHINES.map((spec) => startMachine(spec, options.speedUp)))
  const target = await policy.start(machines, options.speedUp)
  const felt = await runCrowd(target, options)
  await target.stop()
  await Promise.all(machines.map((machine) => machine.close()))
  const others = options.greed > 1 ? felt.filter(({ person }) => person !== 0) : felt
  const times = others.map(({ ttftMs }) => ttftMs).sort((one, other) => one - other)
  return {
    policy: policy.name,
    requests: others.length,
    p50Ms: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
    fairness: fairnessOf(others),
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** https://en.wikipedia.org/wiki/Fairness_measure#Jain's_fairness_index */
function fairnessOf(felt: readonly Felt[]): number {
  const got = new Map<number, number>()
  for (const { person, tokens } of felt) got.set(person, (got.get(person) ?? 0) + tokens)
  const amounts = [...got.values()]
  const sum = amounts.reduce((total, amount) => total + amount, 0)
  return sum ** 2 / (amounts.length * amounts.reduce((total, amount) => total + amount ** 2, 0))
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '12' },
      'speed-up': { type: 'string', default: '30' },
      people: { type: 'string', default: '30' },
      greedy: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      url: { type: 'string' },
      policy: { type: 'string', multiple: true },
    },
  })
  const options: CrowdOptions = {
    people: Number(values.people),
    greed: values.greedy ? 10 : 1,
    durationMs: Number(values.seconds) * 1000,
    speedUp: Number(values['speed-up']),
    seed: Number(values.seed),
  }
  const all = values.url === undefined ? POLICIES : [...POLICIES, remote(values.url)]
  const chosen = all.filter(({ name }) => values.policy === undefined || values.policy.includes(name))
  const feelings: Feeling[] = []
  for (const policy of chosen) {
    feelings.push(await feel(policy, options))
    const [best] = feelings
    const { policy: name, requests, p50Ms, p95Ms, fairness } = feelings.at(-1) as Feeling
    const ratio = (p95Ms / (best?.p95Ms ?? Number.NaN)).toFixed(2)
    console.log(
      `${name}: ${requests} requests, first token p50 ${Math.round(p50Ms)} ms, p95 ${Math.round(p95Ms)} ms (${ratio} × ${best?.policy}), fairness ${fairness.toFixed(3)}`,
    )
  }
}

if (import.meta.main) await main()
