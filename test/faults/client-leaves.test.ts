import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { within } from '../support/chat.ts'
import type { RawClient } from '../support/raw-client.ts'
import { chunked, STREAM_HEAD } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { keepOn, openScene, withstand } from './kit.ts'

const scene = await openScene(t)

/** Long enough for a busy machine; what it takes is told beside. */
const BOUND_MS = 2000
const ROUNDS = 25

const uploadHead = (id: string) =>
  `POST ${scene.room}/v1/audio/transcriptions HTTP/1.1\r\nHost: hub\r\nX-Potluck-Model: ${id}\r\nContent-Type: audio/wav\r\nContent-Length: 9999999\r\n\r\n`

interface Stage {
  what: string
  rounds: number
  /** What the participant does with a connection. */
  take: (socket: Socket) => void
  /** What the client says, and when it is where it shall leave. */
  come: (client: RawClient, ask: string, id: string) => Promise<void>
}

const waits = () => Array.from(scene.clients).some(({ writableLength }) => writableLength > 0)

const STAGES: Stage[] = [
  {
    what: 'in prefill',
    rounds: ROUNDS,
    take: (socket) => void socket.resume(),
    come: async (client, ask) => client.say(ask),
  },
  {
    what: 'in the midst of a stream',
    rounds: ROUNDS,
    take: (socket) => void socket.resume().write(STREAM_HEAD + chunked('data: 1\n\n')),
    come: async (client, ask) => {
      client.say(ask)
      await client.hears('data: 1')
    },
  },
  {
    what: 'in the midst of its upload',
    rounds: ROUNDS,
    take: (socket) => void socket.resume(),
    come: async (client, _ask, id) => client.say(`${uploadHead(id)}the first of it`),
  },
  {
    what: 'in a pause, since it did not read',
    rounds: 5,
    take: (socket) => {
      socket.resume().write(STREAM_HEAD)
      keepOn(socket, 1, () => socket.writableNeedDrain || socket.write(chunked('data: on\n\n'.repeat(5000))))
    },
    come: async (client, ask) => {
      client.socket.pause()
      client.say(ask)
      await eventually(waits, 'the hub waits for the client')
    },
  },
  {
    // Its end stands behind the rest of the body, which the hub takes no faster than the participant does.
    what: 'in the pause of an upload that the participant then reads on',
    rounds: 5,
    take: () => {},
    come: async (client, _ask, id) => {
      client.say(uploadHead(id))
      client.say(Buffer.alloc(9_000_000))
      const isFull = () => Array.from(scene.upstreams).some(({ writableNeedDrain }) => writableNeedDrain)
      await eventually(isFull, 'the hub waits for the participant')
    },
  },
]

/** Of a connection that is open, how long it takes from now until this end has closed. */
async function timeToClose(socket: Socket): Promise<number> {
  const since = performance.now()
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await within(closed, BOUND_MS, 'the connection to the participant is closed')
  return performance.now() - since
}

function tellTimes(t: Test, who: string, times: number[]): void {
  const sorted = times.toSorted((one, other) => one - other)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]?.toFixed(1)
  t.comment(`${who}: closed after ${at(0.5)} ms (median), ${at(0.99)} ms (p99)`)
}

for (const { what, rounds, take, come } of STAGES) {
  for (const [how, leave] of [
    ['leaves', (socket: Socket) => void socket.destroy()],
    ['resets the connection', (socket: Socket) => void socket.resetAndDestroy()],
  ] as const) {
    t.test(`a client that ${how} ${what} takes its request along`, async (t) => {
      const times: [number, number][] = []
      await withstand(t, scene, async ({ dial, goesOn, seatRaw, ask }) => {
        let taken: PromiseWithResolvers<Socket>
        const { id, peer } = await seatRaw((socket) => {
          take(socket)
          taken.resolve(socket)
        })
        for (let round = 1; round <= rounds; round++) {
          const before = new Set(scene.upstreams)
          taken = Promise.withResolvers()
          const client = dial()
          await come(client, ask(id), id)
          const theirs = await taken.promise
          const ours = () => [...scene.upstreams].find((socket) => !before.has(socket))
          await eventually(() => ours() !== undefined, "the hub's end")
          const closed = Promise.all([timeToClose(ours() as Socket), timeToClose(theirs)])
          leave(client.socket)
          // Who does not read does not notice.
          theirs.resume()
          times.push(await closed)
          t.equal(peer.connections, round)
        }
        await goesOn()
      })
      tellTimes(
        t,
        "the hub's end",
        times.map(([ours]) => ours),
      )
      tellTimes(
        t,
        "the participant's",
        times.map(([, theirs]) => theirs),
      )
    })
  }
}
