import type { Party } from './party.ts'

/** Nobody between client and server: what everybody else adds is added to this. */
export const direct: Party = {
  name: 'direct',
  title: 'direct',
  async start({ llmPort }) {
    const target = { port: llmPort, path: '/v1/chat/completions', headers: {} }
    return { name: 'direct', title: 'direct', version: '', target, isExact: true, stop: async () => {} }
  },
}
