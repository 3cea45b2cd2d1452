import { anthropicMessages } from './anthropic-messages.ts'
import { ollamaProtocols } from './ollama.ts'
import { openaiAudio } from './openai-audio.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiCompletions } from './openai-completions.ts'
import { openaiEmbeddings } from './openai-embeddings.ts'
import { openaiImages } from './openai-images.ts'
import { openaiResponses } from './openai-responses.ts'
import type { Protocol } from './protocol.ts'
import { rerank } from './rerank.ts'

/** The APIs that pass through. On paths that none of them serves, the first one with the same beginning speaks. */
export const PROTOCOLS: readonly Protocol[] = [
  openaiChat,
  openaiCompletions,
  openaiEmbeddings,
  openaiResponses,
  openaiAudio,
  openaiImages,
  rerank,
  anthropicMessages,
  ...ollamaProtocols,
]

/** `/rooms/CODE/v1/x?y` → `/v1/x`; undefined where nobody's API is meant. */
export function pathWithin(url: string): string | undefined {
  return /^(?:https?:\/\/[^/]+)?(?:\/rooms\/[^/?]+)?(\/(?:v1|api)(?:\/[^?]*)?)(?:\?|$)/i.exec(url)?.[1]
}

/** The protocol whose clients are likely to have asked for this path, served or not. @param path as `pathWithin` gives it */
export function protocolAt(path: string, headers: Parameters<NonNullable<Protocol['recognises']>>[0]): Protocol {
  const serving = PROTOCOLS.find(({ endpoints }) => endpoints.some((endpoint) => isBelow(path, endpoint.path)))
  const [, family = ''] = path.split('/')
  const spoken = PROTOCOLS.filter(
    ({ endpoints }) => endpoints[0]?.path.startsWith(`/${family.toLowerCase()}/`) === true,
  )
  return serving ?? spoken.find(({ recognises }) => recognises?.(headers)) ?? (spoken[0] as Protocol)
}

function isBelow(path: string, pattern: string): boolean {
  const [start = ''] = pattern.split('/:')
  return path === start || path.startsWith(`${start}/`)
}
