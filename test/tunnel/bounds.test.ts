import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket, WebSocketServer } from 'ws'
import { hashToken } from '../../plugins/access/tokens.ts'
import { MemoryEventBus } from '../../plugins/event-bus/memory-bus.ts'
import { announceWrites } from '../../plugins/room-store/announce.ts'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import { createTunnels, type TunnelsOptions } from '../../plugins/tunnel/tunnels.ts'
import { manualClock } from '../support/clock.ts'
import { until } from '../support/dispatching.ts'
import { participant } from '../support/participants.ts'
import { FRAME, frame } from '../support/raw-tunnel.ts'

const CLAIM = { tokenHash: hashToken('sesame') }

/** The tunnels of a hub, with bounds of the test's own, and participants whose end only speaks. */
async function setUp(t: Test, bounds: Partial<TunnelsOptions>) {
  const clock = manualClock()
  const bus = new MemoryEventBus({ clock, epoch: 'e', historyEvents: 10, stallMs: 1000 })
  const rooms = announceWrites(new MemoryRoomStore(), bus)
  const tunnels = createTunnels({ rooms, clock, graceMs: 100, onError: (error) => t.error(error), ...bounds })
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  await once(server, 'listening')
  t.teardown(() => {
    tunnels.close()
    for (const socket of server.clients) socket.terminate()
    server.close()
  })

  const openRoom = async () => {
    const about = { name: 'x', hostId: 'h', hostTokenHash: hashToken('h'), listed: true, defaults: {}, createdAt: 0 }
    return (await rooms.createRoom(about)).room.id
  }
  const join = (roomId: string, id: string) =>
    rooms.join(
      roomId,
      {
        participant: participant({ id, status: 'offline' }),
        target: tunnels.targetOf(roomId, id),
        owner: { ...CLAIM, tokenUsed: false },
        liveness: 'tunnel',
      },
      {},
    )
  const open = async (record: ParticipantRecord, isSpeaking = true) => {
    const taken = once(server, 'connection')
    const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
    socket.on('error', () => {})
    const [near] = (await taken) as [WebSocket]
    await tunnels.open(near, record, CLAIM)
    if (socket.readyState !== WebSocket.OPEN) await once(socket, 'open')
    if (isSpeaking) socket.send(frame(FRAME.settings, 0, 0))
    return socket
  }
  const statusOf = async (roomId: string, id: string) => (await rooms.getParticipant(roomId, id)).participant.status
  return { tunnels, openRoom, join, open, statusOf }
}

t.test('a hub has so many tunnels and no more, but one that stands may be replaced', async (t) => {
  const { tunnels, openRoom, join, open } = await setUp(t, { maxTunnels: 2 })
  const roomId = await openRoom()
  const [alice, bob, carol] = [await join(roomId, 'alice'), await join(roomId, 'bob'), await join(roomId, 'carol')]
  t.ok(tunnels.hasRoomFor(alice))
  await open(alice)
  await open(bob)
  await until(() => tunnels.size === 2, 'both stand')
  t.notOk(tunnels.hasRoomFor(carol))
  t.ok(tunnels.hasRoomFor(alice), 'a dead connection keeps nobody out')
})

t.test('one room does not take all tunnels of the hub', async (t) => {
  const { tunnels, openRoom, join, open } = await setUp(t, { maxOfRoom: 1 })
  const [one, other] = [await openRoom(), await openRoom()]
  await open(await join(one, 'alice'))
  t.notOk(tunnels.hasRoomFor(await join(one, 'bob')))
  t.ok(tunnels.hasRoomFor(await join(other, 'carol')))
})

t.test('a tunnel on which nobody speaks is closed, and its place is free', async (t) => {
  const { tunnels, openRoom, join, open, statusOf } = await setUp(t, { maxTunnels: 1, handshakeMs: 100 })
  const roomId = await openRoom()
  const silent = await open(await join(roomId, 'alice'), false)
  const bob = await join(roomId, 'bob')
  t.notOk(tunnels.hasRoomFor(bob))
  const [code] = await once(silent, 'close')
  t.equal(code, 4000)
  t.ok(tunnels.hasRoomFor(bob))
  t.equal(await statusOf(roomId, 'alice'), 'offline')
})

t.test('who has left meanwhile gets no tunnel', async (t) => {
  const { tunnels, openRoom, join, open } = await setUp(t, {})
  const record = await join(await openRoom(), 'alice')
  const stranger = { ...record, roomId: 'gone', key: 'gone/alice' }
  const socket = await open(stranger, false)
  const [code] = await once(socket, 'close')
  t.equal(code, 4002)
  t.equal(tunnels.size, 0)
})
