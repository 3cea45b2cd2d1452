/** A line of the page that is neither HELP nor TYPE. */
export interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** What stands below one HELP and TYPE. */
export interface Family {
  name: string
  help: string
  type: string
  samples: Sample[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HELP = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\\n]|\\\\[\\\\n])+)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`)
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
const NUMBER = /^[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)$/i

/**
 * Reads a page in Prometheus' text format 0.0.4, as strictly as its description has it
 * (https://prometheus.io/docs/instrumenting/exposition_formats/), and more: every family has a HELP and a TYPE, in this
 * order, and no sample has a time or is not a number. @throws where it is not so
 */
export function parseMetrics(page: string): Map<string, Family> {
  if (!page.endsWith('\n')) throw new Error('the last line has no end')
  const families = new Map<string, Family>()
  let family: Family | undefined
  for (const line of page.slice(0, -1).split('\n')) {
    if (line === '') continue
    const [, name = '', help = ''] = HELP.exec(line) ?? []
    if (name !== '') {
      if (families.has(name)) throw new Error(`${name} stands in two places`)
      family = { name, help, type: '', samples: [] }
      families.set(name, family)
    } else if (family === undefined) throw new Error(`no HELP before: ${line}`)
    else readLine(family, line)
  }
  for (const each of families.values()) checkFamily(each)
  return families
}

function readLine(family: Family, line: string): void {
  const [, typed, type = ''] = TYPE.exec(line) ?? []
  if (typed === family.name && family.type === '') family.type = type
  else if (family.type === '') throw new Error(`no TYPE before: ${line}`)
  else family.samples.push(readSample(family, line))
}

function readSample({ name: family, type }: Family, line: string): Sample {
  const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? []
  const suffix = name.startsWith(family) ? name.slice(family.length) : undefined
  const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (suffix === undefined || !suffixes.includes(suffix)) throw new Error(`not of ${family}: ${line}`)
  if (!NUMBER.test(value)) throw new Error(`no number: ${line}`)
  return { name, labels: readLabels(labels), value: Number(value.replace(/Inf/i, 'Infinity')) }
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < text.length) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? []
    if (name === '' || name in labels) throw new Error(`no labels: ${text}`)
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped))
  }
  return labels
}

function checkFamily({ name, type, samples }: Family): void {
  if (type === '') throw new Error(`${name} has no TYPE`)
  const keys = samples.map(keyOf)
  if (new Set(keys).size < keys.length) throw new Error(`${name} has a sample twice`)
  if (type !== 'gauge' && samples.some(({ value }) => value < 0)) throw new Error(`${name} counts below nought`)
  if (type === 'histogram') checkHistogram(name, samples)
}

function keyOf({ name, labels }: Sample): string {
  return `${name} ${JSON.stringify(Object.entries(labels).sort())}`
}

/** Buckets count up to the last one, which is that of all, and counts what `_count` counts. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const series = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(labels))
  for (const own of series.values()) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => Number(labels.le?.replace('Inf', 'Infinity')))
    const counts = buckets.map(({ value }) => value)
    const [count, ...more] = own.filter((sample) => sample.name === `${name}_count`)
    const isWhole = own.length === buckets.length + 2 && more.length === 0 && counts.at(-1) === count?.value
    if (!isWhole || bounds.at(-1) !== Number.POSITIVE_INFINITY || !isRising(bounds) || !isRising(counts))
      throw new Error(`${name} is no histogram: ${JSON.stringify(own)}`)
  }
}

function isRising(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => number >= (numbers[index - 1] ?? Number.NEGATIVE_INFINITY))
}

/** The value of the sample that has these labels and no others; undefined where there is none. */
export function valueIn(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number | undefined {
  const wanted = keyOf({ name, labels, value: 0 })
  const samples = [...families.values()].flatMap((family) => family.samples)
  return samples.find((sample) => keyOf(sample) === wanted)?.value
}
