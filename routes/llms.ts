import type { FastifyPluginAsync } from 'fastify'

/** https://llmstxt.org: what a language model should know to use this hub, or to help somebody use it. */
const TEXT = `# Potluck

> A hub that lets people on one LAN share the LLMs that run on their own machines: a room with a short code, participants
> who bring LLM servers, and one OpenAI-compatible URL for all of them.

A client of a room uses \`/rooms/CODE/v1\` as the base URL of any OpenAI SDK; in a room without a password the API key
may be anything, in one with a password it is the password or a personal key. \`model\` is a model's name from \`GET /rooms/CODE/v1/models\`, a participant's id, or \`*\` for whoever is free.

- Open a room: \`POST /rooms\` with \`{"name": "…"}\`; the answer holds its \`code\` and the \`hostToken\`
- Bring an LLM server: \`POST /rooms/CODE/join\` with \`{"id", "nickname", "model", "endpoint"}\`, then each 10 s
  \`POST /rooms/CODE/health\` with \`{"id"}\`; or join with \`"liveness": "probe"\` and send nothing
- Ask: \`POST /rooms/CODE/v1/chat/completions\`
- Watch: \`GET /rooms/CODE/events\` (Server-Sent Events)

## Reference

- [OpenAPI description](/openapi.json): every operation, its errors and examples
- [Reference page](/docs): the same for people
`

const llms: FastifyPluginAsync = async (app) => {
  app.get('/llms.txt', { schema: { hide: true }, config: { operation: 'describe' } }, async (_request, reply) =>
    reply.type('text/plain; charset=utf-8').send(TEXT),
  )
}

export default llms
