import type { Test } from 'tap'
import { type Machine, machine, type RunningCli } from '../support/cli.ts'
import { type Answerer, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { type ManagedRoom, manageRoom } from '../support/managed.ts'

export const ollama = (...models: string[]) => tells(FINDABLE.ollama!(models))

export interface Kitchen {
  hub: string
  room: ManagedRoom
  code: string
  llm: FakeLlm
  laptop: Machine
  /** `potluck join` of the room with the LLM server, once it has joined. */
  join(...more: string[]): Promise<RunningCli>
}

/** A hub with a room, an LLM server, and a machine to join from. */
export async function kitchen(t: Test, body?: Record<string, unknown>): Promise<Kitchen> {
  const { url: hub } = await startHub(t)
  const room = await manageRoom(hub, { name: 'Kitchen', ...body })
  const llm = await startFakeLlm(t, ollama('llama3.2:3b', 'qwen3:8b'))
  const laptop = machine(t)
  const { code } = room.room
  const usual = ['join', code, '--hub', hub, '--endpoint', llm.url, '--no-specs', '--nickname', 'Alice']
  return {
    hub,
    room,
    code,
    llm,
    laptop,
    async join(...more) {
      const running = laptop.start([...usual, ...more])
      await running.until(({ event }) => event === 'joined')
      return running
    },
  }
}

/**
 * A proxy before a hub that knows no WebSockets.
 * @param instead answers some requests by itself: true where it did
 */
export function standBefore(t: Test, hub: string, instead: (...args: Parameters<Answerer>) => boolean = () => false) {
  return startFakeLlm(t, async (request, response) => {
    if (instead(request, response)) return
    const { method, path, body } = request
    const headers = { 'content-type': 'application/json', authorization: request.headers.authorization ?? '' }
    const answer = await fetch(`${hub}${path}`, {
      method,
      headers,
      ...(body.length > 0 ? { body: new Uint8Array(body) } : {}),
    })
    const version = answer.headers.get('x-potluck-tunnel')
    response.writeHead(answer.status, {
      'content-type': 'application/json',
      ...(version === null ? {} : { 'x-potluck-tunnel': version }),
    })
    response.end(await answer.text())
  })
}
