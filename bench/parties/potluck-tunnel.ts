import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { manifest } from '../../src/version.ts'
import { start } from '../children.ts'
import type { Party, RunningParty, Stage } from './party.ts'
import { createRoom, type Hub, joinRoom, type Room, startHub, watch } from './potluck.ts'

const AGENT = join(import.meta.dirname, 'tunnel-agent.ts')
const NAME = 'potluck-tunnel'
const TITLE = 'Potluck, 1 participant behind a tunnel'

/** As in use: the participant's end is a process of its own, which does not count as the hub's. */
async function startTunnelled(stage: Stage): Promise<RunningParty> {
  const hub = await startHub(stage, NAME)
  const room = await createRoom(hub)
  const { token } = await joinRoom({
    url: hub.url,
    code: room.code,
    llmPort: stage.llmPort,
    id: 'llm-1',
    isTunnelled: true,
  })
  const endpoint = `http://127.0.0.1:${stage.llmPort}`
  const agent = start(process.execPath, [AGENT], {
    env: { BENCH_HUB: hub.url, BENCH_CODE: room.code, BENCH_TOKEN: token, BENCH_ENDPOINT: endpoint },
    log: join(stage.workFolder, `${NAME}-agent.log`),
  })
  await untilOnline(hub, room)
  const unwatch = await watch(hub, room)
  const stop = async () => {
    unwatch()
    await agent.stop()
    await hub.child.stop()
  }
  const target = { port: hub.port, path: room.path, headers: {} }
  return { name: NAME, title: TITLE, version: manifest.version, target, isExact: true, pid: hub.child.pid, stop }
}

async function untilOnline({ url }: Hub, { code }: Room): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const response = await fetch(`${url}/rooms/${code}/participants`)
    const { participants } = (await response.json()) as { participants: { status: string }[] }
    if (participants[0]?.status === 'online') return
    await sleep(50)
  }
  throw new Error('the tunnel did not open')
}

export const potluckTunnel: Party = { name: NAME, title: TITLE, start: startTunnelled }
