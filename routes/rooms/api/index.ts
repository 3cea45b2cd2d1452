import type { FastifyPluginAsync } from 'fastify'
import type { InferenceRoute } from '../inference.ts'
import ps from './ps.ts'
import tags from './tags.ts'
import version from './version.ts'

export type OllamaListOptions = InferenceRoute

/** What Ollama's clients ask the server itself: the hub answers for all participants together. */
const api: FastifyPluginAsync<OllamaListOptions> = async (app, route) => {
  await app.register(tags, route)
  await app.register(ps, route)
  await app.register(version, route)
}

export default api
