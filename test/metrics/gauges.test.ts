import t from 'tap'
import { createMetrics } from '../../plugins/metrics/metrics.ts'
import { parseMetrics, valueIn } from '../support/prometheus.ts'

t.test('a gauge is read when it is asked for, and only then', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  let reads = 0
  metrics.gauge('potluck_reads', 'How often', () => ++reads)
  metrics.gauge('potluck_later', 'Comes later', async () => 7)
  t.equal(reads, 0)
  for (const expected of [1, 2]) {
    const families = parseMetrics(await metrics.text())
    t.equal(valueIn(families, 'potluck_reads'), expected)
    t.equal(valueIn(families, 'potluck_later'), 7)
  }
})

t.test('one with a label has a value for each of its values', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  metrics.gaugeBy('status', 'potluck_guests', 'Who is there', () => ({ awake: 2, asleep: 0 }))
  const families = parseMetrics(await metrics.text())
  t.equal(valueIn(families, 'potluck_guests', { status: 'awake' }), 2)
  t.equal(valueIn(families, 'potluck_guests', { status: 'asleep' }), 0)
})

t.test('one that can’t be read is left out, and told; the others are there', async (t) => {
  const failures: string[] = []
  let isBroken = false
  const broken = <T>(value: T) => {
    if (isBroken) throw new Error('the store is gone')
    return value
  }
  const onUnreadable = (name: string, error: unknown) => void failures.push(`${name}: ${(error as Error).message}`)
  const metrics = createMetrics({ version: '1.2.3', onUnreadable })
  metrics.gauge('potluck_rooms', 'Rooms', async () => broken(3))
  metrics.gaugeBy('status', 'potluck_guests', 'Guests', () => broken({ awake: 1 }))
  metrics.gauge('potluck_sound', 'Sound', () => 1)
  const read = async () => {
    const families = parseMetrics(await metrics.text())
    return ['potluck_rooms', 'potluck_guests', 'potluck_sound'].map((name) => families.get(name)?.samples.length)
  }
  t.same(await read(), [1, 1, 1])
  isBroken = true
  t.same(await read(), [0, 0, 1])
  t.same(failures.sort(), ['potluck_guests: the store is gone', 'potluck_rooms: the store is gone'])
  isBroken = false
  t.same(await read(), [1, 1, 1])
})

t.test('who is told nothing is no reason to fail', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  metrics.gauge('potluck_rooms', 'Rooms', () => Promise.reject(new Error('the store is gone')))
  t.equal(parseMetrics(await metrics.text()).get('potluck_rooms')?.samples.length, 0)
})

t.test('several may ask at once', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  metrics.gaugeBy('status', 'potluck_guests', 'Guests', async () => ({ awake: 1 }))
  const pages = await Promise.all(Array.from({ length: 10 }, () => metrics.text()))
  for (const page of pages) t.equal(valueIn(parseMetrics(page), 'potluck_guests', { status: 'awake' }), 1)
})

t.test('the process tells of itself', async (t) => {
  const metrics = createMetrics({ version: '1.2.3' })
  const first = parseMetrics(await metrics.text())
  const value = (name: string) => valueIn(first, name) ?? Number.NaN
  t.equal(valueIn(first, 'potluck_build_info', { version: '1.2.3', node: process.version }), 1)
  t.ok(value('potluck_process_resident_memory_bytes') > 1_000_000)
  t.ok(value('potluck_process_cpu_seconds_total') > 0)
  t.ok(Math.abs(value('potluck_process_start_time_seconds') - (Date.now() / 1000 - process.uptime())) < 60)
  const second = parseMetrics(await metrics.text())
  for (const name of ['potluck_process_cpu_seconds_total', 'potluck_event_loop_active_seconds_total'])
    t.ok((valueIn(second, name) ?? -1) >= value(name), name)
})
