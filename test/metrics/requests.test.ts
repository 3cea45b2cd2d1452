import { register } from 'prom-client'
import t from 'tap'
import { createMetrics, type Metrics, type ObservedRequest } from '../../plugins/metrics/metrics.ts'
import { parseMetrics, valueIn } from '../support/prometheus.ts'

const CHAT: ObservedRequest = {
  protocol: 'openai-chat',
  outcome: 'complete',
  stream: true,
  durationMs: 1500,
  ttftMs: 40,
  inputTokens: 7,
  outputTokens: 30,
  estimated: false,
}
const { ttftMs: _, ...SILENT } = CHAT

const create = () => createMetrics({ version: '1.2.3' })

async function read(metrics: Metrics) {
  const families = parseMetrics(await metrics.text())
  return (name: string, labels: Record<string, string> = { protocol: 'openai-chat' }) => valueIn(families, name, labels)
}

t.test('each request counts once, by what came of it', async (t) => {
  const metrics = create()
  const outcomes = ['complete', 'complete', 'complete', 'refused', 'failed', 'failed', 'cancelled'] as const
  for (const outcome of outcomes) metrics.observe({ ...CHAT, outcome })
  const value = await read(metrics)
  const counts = ['complete', 'refused', 'failed', 'cancelled'].map((outcome) =>
    value('potluck_requests_total', { protocol: 'openai-chat', outcome }),
  )
  t.same(counts, [3, 1, 2, 1])
})

t.test('protocols are counted apart', async (t) => {
  const metrics = create()
  metrics.observe(CHAT)
  for (let round = 0; round < 2; round++) metrics.observe({ ...CHAT, protocol: 'rerank' })
  const value = await read(metrics)
  t.equal(value('potluck_request_duration_seconds_count'), 1)
  t.equal(value('potluck_request_duration_seconds_count', { protocol: 'rerank' }), 2)
  t.equal(value('potluck_requests_total', { protocol: 'rerank', outcome: 'complete' }), 2)
})

t.test('what a protocol has not had yet is nought, and what it never had is not there', async (t) => {
  const metrics = create()
  metrics.observe({ ...SILENT, outcome: 'refused', inputTokens: 0, outputTokens: 0 })
  const value = await read(metrics)
  for (const outcome of ['complete', 'failed', 'cancelled'])
    t.equal(value('potluck_requests_total', { protocol: 'openai-chat', outcome }), 0)
  for (const direction of ['input', 'output'])
    t.equal(value('potluck_tokens_total', { protocol: 'openai-chat', direction }), 0)
  t.equal(value('potluck_requests_total', { protocol: 'rerank', outcome: 'refused' }), undefined)
})

t.test('tokens are summed by direction', async (t) => {
  const metrics = create()
  metrics.observe(CHAT)
  metrics.observe({ ...CHAT, inputTokens: 100, outputTokens: 0 })
  const value = await read(metrics)
  t.equal(value('potluck_tokens_total', { protocol: 'openai-chat', direction: 'input' }), 107)
  t.equal(value('potluck_tokens_total', { protocol: 'openai-chat', direction: 'output' }), 30)
})

t.test('times go into buckets, in seconds', async (t) => {
  const metrics = create()
  metrics.observe(CHAT)
  metrics.observe({ ...CHAT, durationMs: 3_600_000 })
  const value = await read(metrics)
  const bucket = (le: string) => value('potluck_request_duration_seconds_bucket', { protocol: 'openai-chat', le })
  t.same(['0.01', '1', '2.5', '600', '+Inf'].map(bucket), [0, 0, 1, 1, 2])
  t.equal(value('potluck_request_duration_seconds_sum'), 3601.5)
  t.equal(value('potluck_time_to_first_token_seconds_sum'), 0.08)
})

t.test('an answer that never began has no time to its first token', async (t) => {
  const metrics = create()
  metrics.observe(CHAT)
  metrics.observe({ ...SILENT, outcome: 'failed' })
  const value = await read(metrics)
  t.equal(value('potluck_time_to_first_token_seconds_count'), 1)
  t.equal(value('potluck_request_duration_seconds_count'), 2)
})

t.test('streams are counted, and whose tokens were guessed: where there are none, nothing was', async (t) => {
  const metrics = create()
  metrics.observe(CHAT)
  metrics.observe({ ...CHAT, stream: false, estimated: true })
  metrics.observe({ ...SILENT, outcome: 'refused', inputTokens: 0, outputTokens: 0, estimated: true })
  const value = await read(metrics)
  t.equal(value('potluck_requests_streamed_total'), 2)
  t.equal(value('potluck_requests_estimated_total'), 1)
})

t.test('what one counts no other does, and nothing is left in the process', async (t) => {
  const [one, other] = [create(), create()]
  one.observe(CHAT)
  one.gauge('potluck_mine', 'Mine', () => 1)
  t.equal((await read(one))('potluck_requests_streamed_total'), 1)
  t.equal((await read(other))('potluck_requests_streamed_total'), undefined)
  t.notMatch(await other.text(), 'potluck_mine')
  t.same(register.getMetricsAsArray(), [])
})
