import type { Socket } from 'node:net'
import t from 'tap'
import { openRoom } from '../support/hub.ts'
import { eventually, send } from '../support/wire.ts'
import { openScene, withstand } from './kit.ts'

// One attempt a request: what a connection does by itself is looked at, not what the hub tries next.
const scene = await openScene(t, { maxAttempts: 1 })
const { room: nextDoor } = await openRoom(scene.url, { name: 'Next door' })

/** A whole answer on a connection that is kept. */
const kept = (body: string, headers = '') =>
  `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

const FORGED = kept('{"forged":true}')

/** Says the request's own word again, so that an answer shows whose it is. */
const echo = (request: Buffer) => `{"word":"${/word-[a-z\d-]+/.exec(request.toString())?.[0]}"}`

function askWord(path: string, model: string, word: string, padding = ''): string {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: word }], padding })
  return `POST ${path} HTTP/1.1\r\nHost: hub\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const CLOSES: [string, (socket: Socket) => void][] = [
  ['closed', (socket) => void socket.end()],
  ['reset', (socket) => void socket.resetAndDestroy()],
]

for (const [how, close] of CLOSES) {
  t.test(
    `a kept connection that the participant has ${how} costs nobody a request, and no request comes twice`,
    async (t) => {
      const rounds = 40
      await withstand(t, scene, async ({ seat, dial, goesOn }) => {
        let last: Socket | undefined
        const { id, peer } = await seat((socket, request) => {
          last = socket
          socket.write(kept(echo(request)))
        })
        const client = dial()
        for (let round = 0; round < rounds; round++) {
          client.say(askWord(scene.chatPath, id, `word-${round}`))
          // At the very moment of the next request at one time, before it at another.
          await client.answered(round + 1)
          if (round % 4 > 0) await pause(round % 4)
          if (last !== undefined) close(last)
          if (round % 2 > 0) await pause(1)
        }
        await goesOn()
        const answers = client.answers()
        t.strictSame(
          answers.map(({ status, body }) => [status, body]),
          Array.from({ length: rounds }, (_, round) => [200, `{"word":"word-${round}"}`]),
        )
        t.strictSame(
          peer.requests.map(echo),
          answers.map(({ body }) => body),
          'each of them came once',
        )
      })
    },
  )

  t.test(`a request that had gone out on a kept connection is never sent again where that is ${how}`, async (t) => {
    await withstand(t, scene, async ({ seat, dial, goesOn }) => {
      const { id, peer } = await seat((socket, request) => {
        if (echo(request).includes('first')) socket.write(kept('{}'))
        else close(socket)
      })
      const client = dial()
      client.say(askWord(scene.chatPath, id, 'word-first'))
      await client.answered()
      client.say(askWord(scene.chatPath, id, 'word-second'))
      await goesOn()
      const [, answer] = await client.answered(2)
      t.equal(answer?.status, 502)
      await goesOn()
      t.strictSame([peer.requests.length, peer.connections], [2, 1])
    })
  })

  t.test(`a request of which a part had gone out is never sent again where the connection is ${how}`, async (t) => {
    await withstand(t, scene, async ({ seatRaw, dial, goesOn }) => {
      const seen: string[] = []
      const { id, peer } = await seatRaw((socket) => {
        // Of a body that does not fit into the buffers on the way it takes the first bytes alone.
        socket.once('data', (chunk: Buffer) => {
          seen.push(chunk.toString('latin1', 0, 4))
          socket.pause()
          close(socket)
        })
      })
      const client = dial()
      client.say(askWord(scene.chatPath, id, 'word-large', 'x'.repeat(8_000_000)))
      await goesOn()
      const [answer] = await client.answered()
      t.equal(answer?.status, 502)
      await goesOn()
      t.strictSame([seen, peer.connections], [['POST'], 1])
    })
  })
}

t.test('a connection is not kept longer than the participant says, less a margin', async (t) => {
  await withstand(t, scene, async ({ seat, dial, goesOn }) => {
    const { id, peer } = await seat((socket, request) => {
      socket.write(kept(echo(request), 'Connection: keep-alive\r\nKeep-Alive: timeout=2, max=100\r\n'))
    })
    const client = dial()
    for (const turn of [1, 2, 3]) {
      client.say(askWord(scene.chatPath, id, `word-${turn}`))
      t.equal((await client.answered(turn))[turn - 1]?.status, 200)
      await eventually(() => peer.sockets.size === 0, 'the hub closes it at once')
      t.equal(peer.connections, turn)
    }
    await goesOn()
  })
})

t.test('a connection that nobody uses is closed by the hub itself', async (t) => {
  await withstand(t, scene, async ({ seat, dial, goesOn }) => {
    const { id, peer } = await seat((socket) => void socket.write(kept('{}')))
    const client = dial()
    client.say(askWord(scene.chatPath, id, 'word-1'))
    await client.answered()
    await goesOn()
    t.equal(peer.sockets.size, 1)
    await eventually(() => peer.sockets.size === 0, 'it is closed', 10_000)
  })
})

/** What stands behind an answer that was whole, and when it comes; resolves once it has. */
const EXTRAS: [string, (socket: Socket, answer: string) => Promise<void>][] = [
  ['at once', async (socket, answer) => void socket.write(answer + FORGED)],
  [
    'a little later',
    async (socket, answer) => {
      socket.write(answer)
      await pause(3)
      socket.write(FORGED)
    },
  ],
  [
    'in pieces',
    async (socket, answer) => {
      socket.write(answer + FORGED.slice(0, 9))
      await pause(3)
      if (socket.writable) socket.write(FORGED.slice(9))
    },
  ],
  [
    'behind line ends',
    async (socket, answer) => {
      socket.write(`${answer}\r\n\r\n`)
      await pause(3)
      socket.write(FORGED)
    },
  ],
]

for (const [when, how] of EXTRAS) {
  t.test(`a second answer that nobody asked for, ${when}, is given to nobody`, async (t) => {
    const rounds = 20
    await withstand(
      t,
      scene,
      async ({ seat, dial, goesOn }) => {
        let extra = Promise.resolve()
        const { id, peer } = await seat((socket, request) => {
          extra = how(socket, kept(echo(request)))
        })
        const path = `/rooms/${nextDoor.code}`
        const body = JSON.stringify({ id, nickname: id, model: 'llama3.2:3b', endpoint: peer.url })
        t.equal((await send('POST', `${scene.url}${path}/join`, { body })).status, 201)
        const [here, there] = [dial(), dial()]
        for (let round = 1; round <= rounds; round++) {
          here.say(askWord(scene.chatPath, id, `word-here-${round}`))
          t.equal((await here.answered(round)).at(-1)?.body, `{"word":"word-here-${round}"}`)
          await extra
          there.say(askWord(`${path}/v1/chat/completions`, id, `word-there-${round}`))
          t.equal((await there.answered(round)).at(-1)?.body, `{"word":"word-there-${round}"}`)
          await extra
        }
        await goesOn()
        t.notOk(`${here.heard()}${there.heard()}`.includes('forged'))
      },
      { idle: 1 },
    )
  })
}
