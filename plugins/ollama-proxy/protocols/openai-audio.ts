import { OPENAI } from './openai.ts'
import { noDefaults, type Protocol } from './protocol.ts'

/** What is streamed ends with an event of its own, and without `[DONE]`. */
const LAST_EVENT = /(?:^|\n)data:[^\n]*(?<!\\)"type"\s*:\s*"(?:transcript\.text|speech\.audio)\.done"[^\n]*\n/

/** https://platform.openai.com/docs/api-reference/audio */
export const openaiAudio: Protocol = {
  ...OPENAI,
  name: 'openai-audio',
  endpoints: [
    {
      method: 'POST',
      path: '/v1/audio/transcriptions',
      operationId: 'createTranscription',
      summary: 'Turn speech into text (OpenAI)',
      body: 'any',
    },
    {
      method: 'POST',
      path: '/v1/audio/translations',
      operationId: 'createTranslation',
      summary: 'Turn speech into English text (OpenAI)',
      body: 'any',
    },
    {
      method: 'POST',
      path: '/v1/audio/speech',
      operationId: 'createSpeech',
      summary: 'Turn text into speech (OpenAI)',
      examples: [{ model: '*', input: 'Dinner is ready', voice: 'alloy' }],
      body: 'any',
    },
  ],
  defaultsFor: noDefaults,
  hasEnded: (tail) => OPENAI.hasEnded(tail) || LAST_EVENT.test(tail),
}
