import type { Bench, Outcome, Scenario, Verdict } from '../bench.ts'
import { interval, number } from '../format.ts'
import { POLICIES } from '../people/policies.ts'
import { type Feeling, feel } from '../people.ts'
import { median, ratio } from '../statistics.ts'

const PEOPLE = 30
const SPEED_UP = 30
const SECONDS = 12
const QUICK_SECONDS = 2
/** Each with people of its own, the same for every way of choosing. */
const CROWDS = 4
/** As much as so many others. */
const GREED = 10

const TIMES_ORACLE = 1.2
const SHARE_OF_LEAST_CONNECTIONS = 0.2
const TIMES_ORACLE_BESIDE_GREED = 1.4
const LEAST_FAIRNESS = 0.95

type Feelings = ReadonlyMap<string, readonly Feeling[]>

/** All ways of choosing take turns, crowd by crowd. */
async function ask({ isQuick, say }: Bench, greed: number): Promise<Feelings> {
  const feelings = new Map<string, Feeling[]>(POLICIES.map(({ name }) => [name, []]))
  for (let seed = 1; seed <= (isQuick ? 1 : CROWDS); seed++) {
    say(`a crowd${greed > 1 ? ' and somebody greedy' : ''}, ${seed}`)
    const durationMs = (isQuick ? QUICK_SECONDS : SECONDS) * 1000
    for (const policy of POLICIES)
      feelings
        .get(policy.name)
        ?.push(await feel(policy, { people: PEOPLE, greed, durationMs, speedUp: SPEED_UP, seed }))
  }
  return feelings
}

const p95Of = (feelings: Feelings, name: string) => (feelings.get(name) ?? []).map(({ p95Ms }) => p95Ms)

function judge(feelings: Feelings, [of, to]: readonly [string, string], atMost?: number, where = ''): Verdict {
  const found = ratio(p95Of(feelings, of), p95Of(feelings, to))
  return {
    what: `first token, p95${where}: ${of} ÷ ${to}`,
    target: atMost === undefined ? 'reported' : `≤ ${number(atMost)}`,
    measured: interval(found),
    isMet: atMost === undefined ? 'none' : found.value <= atMost,
  }
}

function judgeFairness(feelings: Feelings): Verdict[] {
  const of = (name: string) => median((feelings.get(name) ?? []).map(({ fairness }) => fairness))
  const found = of('Potluck')
  return [
    {
      what: "Jain's fairness over the others, beside somebody greedy",
      target: `≥ ${number(LEAST_FAIRNESS)}`,
      measured: number(found),
      isMet: found >= LEAST_FAIRNESS,
    },
    { what: 'the same: oracle', target: 'reported', measured: number(of('oracle')), isMet: 'none' },
  ]
}

function tableOf(feelings: Feelings, title: string) {
  const rows = [...feelings].map(([name, felt]) => {
    const of = (figure: 'p50Ms' | 'p95Ms' | 'requests' | 'fairness') => median(felt.map((one) => one[figure]))
    return [name, number(of('requests')), number(of('p50Ms')), number(of('p95Ms')), number(of('fairness'))]
  })
  return { columns: [title, 'requests', 'first token, median ms', 'p95 ms', "Jain's fairness"], rows }
}

async function run(bench: Bench): Promise<Outcome> {
  const plain = await ask(bench, 1)
  const greedy = await ask(bench, GREED)
  const where = ' beside somebody greedy'
  return {
    title: 'What people feel',
    method: `${PEOPLE} people chat on 8 unequal machines, from 4 slots at 90 tokens a second to one slot at 7, whose servers are simulated to the prefix in each slot's cache; ${SPEED_UP} times as fast as in life. The oracle knows how long everything will take, and sends each request where its first token comes soonest, though it may wait there while another slot is free; Potluck never lets that be, nor does the second oracle. ${CROWDS} crowds; the greedy one asks as much as ${GREED} others without a pause, and is left out of the figures. Least connections counts what is under way, and knows no slots. Also by \`npm run bench:people\`, against any URL.`,
    verdicts: [
      judge(plain, ['Potluck', 'oracle'], TIMES_ORACLE),
      judge(plain, ['Potluck', 'least connections'], SHARE_OF_LEAST_CONNECTIONS),
      judge(plain, ['oracle', 'least connections']),
      judge(plain, ['Potluck', 'oracle that leaves no slot free']),
      judge(greedy, ['Potluck', 'oracle'], TIMES_ORACLE_BESIDE_GREED, where),
      ...judgeFairness(greedy),
    ],
    tables: [tableOf(plain, 'a crowd'), tableOf(greedy, 'a crowd and somebody greedy')],
    notes: [],
  }
}

export const people: Scenario = { name: 'people', run }
