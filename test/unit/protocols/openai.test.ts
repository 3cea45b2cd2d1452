import t from 'tap'
import { openaiAudio } from '../../../plugins/ollama-proxy/protocols/openai-audio.ts'
import { openaiEmbeddings } from '../../../plugins/ollama-proxy/protocols/openai-embeddings.ts'
import { openaiImages } from '../../../plugins/ollama-proxy/protocols/openai-images.ts'
import { rerank } from '../../../plugins/ollama-proxy/protocols/rerank.ts'
import { defaultsBeside, tellsUsage, usageIn } from '../../support/protocol-units.ts'
import { EMBEDDINGS, RANKING, TRANSCRIPTION } from '../../support/real-answers.ts'

t.test('what generates no text gets no defaults', async (t) => {
  for (const protocol of [openaiAudio, openaiEmbeddings, openaiImages, rerank]) {
    t.strictSame(defaultsBeside(protocol), {}, protocol.name)
  }
})

t.test('of embeddings the input is counted, in front of the vectors and behind them', async (t) => {
  for (const [server, answer] of Object.entries(EMBEDDINGS)) tellsUsage(t, openaiEmbeddings, server, answer)
})

t.test('of a ranking the input is counted', async (t) => {
  tellsUsage(t, rerank, 'llama.cpp', RANKING)
})

t.test('a total that could be of anything counts nothing', async (t) => {
  t.equal(usageIn(rerank, '{"usage":{"total_tokens":74}}'), undefined)
  t.equal(usageIn(openaiEmbeddings, '{"usage":{"prompt_tokens":70,"total_tokens":74}}'), undefined)
})

t.test('of a transcription tokens are counted, of one by the second nothing', async (t) => {
  tellsUsage(t, openaiAudio, 'tokens', TRANSCRIPTION)
  t.equal(usageIn(openaiAudio, '{"text":"Dinner","usage":{"type":"duration","seconds":3}}'), undefined)
})

t.test('of an image tokens are counted behind its data', async (t) => {
  const usage = { total_tokens: 100, input_tokens: 50, output_tokens: 50, input_tokens_details: { text_tokens: 10 } }
  const text = JSON.stringify({ created: 1713833628, data: [{ b64_json: 'A'.repeat(100_000) }], usage })
  t.strictSame(usageIn(openaiImages, text), { inputTokens: 50, outputTokens: 50 })
})
