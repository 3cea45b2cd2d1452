/**
 * What people feel: 30 people chat on 8 unequal machines, by each way of choosing among them, in the same run.
 *
 *   npm run bench:people [-- --people 30 --seconds 12]
 */
import { InvalidArgumentError } from 'commander'
import { script, wholeNumber } from './options.ts'
import { type CrowdOptions, type Felt, runCrowd } from './people/crowd.ts'
import { MACHINES, startMachine } from './people/machines.ts'
import { MAX_PEOPLE, POLICIES, type Policy, remote } from './people/policies.ts'

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

interface Options {
  seconds: number
  speedUp: number
  people: number
  greedy: boolean
  seed: number
  policy?: readonly Policy[]
  url?: string
  machines: boolean
}

/** @throws InvalidArgumentError */
function crowd(text: string): number {
  const people = wholeNumber(text)
  if (people > MAX_PEOPLE) throw new InvalidArgumentError(`There are keys for ${MAX_PEOPLE}.`)
  return people
}

/** @throws InvalidArgumentError */
function addPolicy(name: string, others: readonly Policy[] = []): readonly Policy[] {
  const policy = POLICIES.find((one) => one.name === name)
  if (policy !== undefined) return [...others, policy]
  throw new InvalidArgumentError(`There are ${POLICIES.map((one) => one.name).join(', ')}.`)
}

/** They run until the process is ended. */
async function tellMachines(speedUp: number): Promise<void> {
  for (const spec of MACHINES)
    console.log(`${(await startMachine(spec, speedUp)).url} ${spec.name}, ${spec.slots} slots`)
}

async function main(): Promise<void> {
  const values = script(
    'bench:people',
    'What people feel who share unequal machines, by each way of choosing among them.',
  )
    .option('--seconds <number>', 'of the run', wholeNumber, 12)
    .option('--speed-up <number>', 'times as fast as people and machines are', wholeNumber, 30)
    .option('--people <number>', `up to ${MAX_PEOPLE}`, crowd, 30)
    .option('--greedy', 'the first one asks ten times as much', false)
    .option('--seed <number>', 'of what people ask, and when', wholeNumber, 1)
    .option('--policy <name>', 'one way of choosing; may be given several times (default: all)', addPolicy)
    .option(
      '--machines',
      'starts the machines alone and says where they are, for another balancer to be told of them',
      false,
    )
    .option('--url <url>', 'that balancer, up to /v1: the same people are sent there as well')
    .parse()
    .opts<Options>()
  const options: CrowdOptions = {
    people: values.people,
    greed: values.greedy ? 10 : 1,
    durationMs: values.seconds * 1000,
    speedUp: values.speedUp,
    seed: values.seed,
  }
  if (values.machines) return tellMachines(values.speedUp)
  const chosen = [...(values.policy ?? POLICIES), ...(values.url === undefined ? [] : [remote(values.url)])]
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
