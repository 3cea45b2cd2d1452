import type { Socket } from 'node:net'
import t from 'tap'
import { chunked, STREAM_HEAD } from '../support/raw-llm.ts'
import { eventually } from '../support/wire.ts'
import { openScene, plain, withstand } from './kit.ts'

const scene = await openScene(t)

const EVENTS = STREAM_HEAD.replace('keep-alive', 'close')
const LAST = '0\r\n\r\n'
const HEALTH = 'GET /health HTTP/1.1\r\nHost: hub\r\n\r\n'

t.test('requests that were sent at once are answered in their order, whoever is ready first', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const orders: Socket[] = []
    const seats = await Promise.all(Array.from({ length: 5 }, () => seat((socket) => void orders.push(socket))))
    const client = dial()
    client.say(seats.map(({ id }) => ask(id)).join(HEALTH))
    await eventually(() => orders.length === 5, 'all requests at their participants')
    for (const { id, peer } of seats.toReversed()) {
      for (const socket of peer.sockets) socket.end(plain(`"${id}"`))
      await goesOn()
    }
    const answers = await client.answered(9)
    const heard = answers.map(({ body }) => (body.startsWith('{"status":"ok"') ? 'health' : body))
    t.strictSame(heard, seats.flatMap(({ id }) => [`"${id}"`, 'health']).slice(0, -1))
  })
})

t.test('a hundred requests at once are all answered', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const { id, peer } = await seat((socket) => void socket.end(plain('{}')))
    const client = dial()
    client.say(ask(id).repeat(100))
    await goesOn()
    const answers = await client.answered(100)
    t.ok(answers.every(({ status, body }) => status === 200 && body === '{}'))
    t.equal(peer.requests.length, 100)
  })
})

t.test('where one of several breaks off, what was before it is whole, and what is behind it is given up', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const first = await seat((socket) => void socket.end(plain('"first"')))
    const broken = await seat((socket) => void socket.end(EVENTS + chunked('data: 1\n\n')))
    const held = await seat(() => {})
    const client = dial()
    client.say(ask(first.id) + ask(broken.id) + ask(held.id))
    await eventually(() => held.peer.requests.length === 1, 'the last request at its participant')
    await goesOn()
    await letGo()
    const [one, two, ...more] = client.answers()
    t.strictSame([one?.body, one?.isWhole, two?.isWhole, more], ['"first"', true, false, []])
    t.match(two?.body, /^data: 1\n\ndata: {"error":{"message":"guest\d+ broke off/)
    await eventually(() => held.peer.sockets.size === 0, 'the participant is let go')
  })
})

t.test(
  'one that breaks off before its turn is cut when that comes, and takes nothing from the one before',
  async (t) => {
    await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
      let answer: Socket | undefined
      const first = await seat((socket) => {
        answer = socket
      })
      const broken = await seat((socket) => void socket.end(EVENTS + chunked('data: 1\n\n')))
      const client = dial()
      client.say(ask(first.id) + ask(broken.id))
      await eventually(() => broken.peer.connections === 1 && broken.peer.sockets.size === 0, 'the second breaks off')
      await goesOn()
      t.equal(client.heard(), '')
      answer?.end(EVENTS + chunked('data: first\n\n') + LAST)
      await letGo()
      const [one, ...more] = client.answers()
      t.strictSame([one?.body, one?.isWhole], ['data: first\n\n', true])
      t.ok(more.every(({ isWhole }) => !isWhole))
    })
  },
)

t.test('one that fails before its turn is told so, and the connection goes on', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    let answer: Socket | undefined
    const first = await seat((socket) => {
      answer = socket
    })
    const failed = await seat((socket) => void socket.resetAndDestroy())
    const third = await seat((socket) => void socket.end(plain('"third"')))
    const client = dial()
    client.say(ask(first.id) + ask(failed.id) + ask(third.id))
    await eventually(() => third.peer.requests.length === 1, 'the last request at its participant')
    await goesOn()
    answer?.end(plain('"first"'))
    const answers = await client.answered(3)
    t.strictSame(
      answers.map(({ status }) => status),
      [200, 502, 200],
    )
  })
})

t.test('a client that leaves in the midst of several takes all of them along', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask }) => {
    const whole = await seat((socket) => void socket.end(plain('{}')))
    const streaming = await seat((socket) => void socket.write(EVENTS + chunked('data: 1\n\n')))
    const held = await seat(() => {})
    const client = dial()
    client.say(ask(whole.id) + ask(streaming.id) + ask(held.id).repeat(5))
    await client.hears('data: 1')
    await eventually(() => held.peer.requests.length === 5, 'the last requests at their participant')
    await goesOn()
    client.leave()
    await eventually(() => streaming.peer.sockets.size + held.peer.sockets.size === 0, 'the participants are let go')
  })
})

t.test('noise behind requests that run ends the connection, and them', async (t) => {
  await withstand(t, scene, async ({ dial, goesOn, seat, ask, letGo }) => {
    const streaming = await seat((socket) => void socket.write(EVENTS + chunked('data: 1\n\n')))
    const held = await seat(() => {})
    const client = dial()
    client.say(ask(streaming.id) + ask(held.id))
    await client.hears('data: 1')
    await eventually(() => held.peer.requests.length === 1, 'the last request at its participant')
    await goesOn()
    client.say('NOISE\r\n\r\n')
    await letGo()
    const answers = client.answers()
    t.strictSame([answers.length, answers[0]?.isWhole], [1, false])
    t.notOk(client.heard().includes('HTTP/1.1 400'), 'nothing is put into the midst of an answer')
    await eventually(() => streaming.peer.sockets.size + held.peer.sockets.size === 0, 'the participants are let go')
  })
})
