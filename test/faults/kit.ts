import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { HubOptions } from '../../src/hub.ts'
import { post } from '../support/chat.ts'
import { chunkOf, type FakeLlm, startFakeLlm } from '../support/fake-llm.ts'
import { openRoom, type RunningHub, startHub } from '../support/hub.ts'
import { dial, type RawClient } from '../support/raw-client.ts'
import { type Peer, type RawAnswerer, type RawLlm, startPeer, startRawLlm } from '../support/raw-llm.ts'
import { noteSecrets } from '../support/secret-log.ts'
import { eventually, send } from '../support/wire.ts'

/** A hub with a room, whose sockets are counted on its own side. */
export interface Scene extends RunningHub {
  app: FastifyInstance
  port: number
  /** Path of the room. */
  room: string
  chatPath: string
  chatUrl: string
  /** The hub's ends of its clients' connections. */
  clients: Set<Socket>
  /** The hub's ends of its connections to participants. */
  upstreams: Set<Socket>
  pace: Pace
  /** @returns its id */
  join(endpoint: string, model?: string): Promise<string>
}

const HOUR_MS = 3_600_000

/** What every request asks; no log may tell it. */
const PROMPT = "the cook's own recipe no. 7741"

export async function openScene(t: Test, options: HubOptions = {}): Promise<Scene> {
  const running = await startHub(t, { offlineAfterMs: HOUR_MS, ...options })
  const { room } = await openRoom(running.url)
  const path = `/rooms/${room.code}`
  const app = await running.hub.app
  const pace = await startPace(t)
  let seats = 0
  async function join(endpoint: string, model = 'llama3.2:3b'): Promise<string> {
    seats += 1
    const id = `guest${seats}`
    const body = JSON.stringify({ id, nickname: id, model, endpoint })
    const { status, text } = await send('POST', `${running.url}${path}/join`, { body })
    if (status !== 201) throw new Error(`join answered ${status}: ${text}`)
    return id
  }
  noteSecrets({ url: running.url, headers: {}, body: { prompt: PROMPT }, answer: undefined })
  pace.id = await join(pace.llm.url)
  const chatPath = `${path}/v1/chat/completions`
  const port = Number(new URL(running.url).port)
  return {
    ...running,
    app,
    port,
    room: path,
    chatPath,
    chatUrl: `${running.url}${chatPath}`,
    clients: watchClients(app),
    upstreams: watchUpstreams(t, port),
    pace,
    join,
  }
}

function watchClients({ server }: FastifyInstance): Set<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => keep(sockets, socket))
  return sockets
}

/** The tests' own connections to the hub are none of these. */
function watchUpstreams(t: Test, hubPort: number): Set<Socket> {
  const sockets = new Set<Socket>()
  const onConnected = (message: unknown) => {
    const { connectParams, socket } = message as { connectParams: { port: string }; socket: Socket }
    if (Number(connectParams.port) !== hubPort) keep(sockets, socket)
  }
  subscribe('undici:client:connected', onConnected)
  t.teardown(() => unsubscribe('undici:client:connected', onConnected))
  return sockets
}

function keep(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket)
  socket.once('close', () => sockets.delete(socket))
}

// --- the stream beside

const PACE_MS = 5

interface Pace {
  llm: FakeLlm
  id: string
  /** How many chunks were sent of the stream that runs. */
  sent: number
  isEnding: boolean
}

/** A participant that says one number after the other until it is told to end. */
async function startPace(t: Test): Promise<Pace> {
  const llm = await startFakeLlm(t, async (_request, response) => {
    pace.sent = 0
    pace.isEnding = false
    response.writeHead(200, { 'content-type': 'text/event-stream', connection: 'close' })
    while (!pace.isEnding && !response.destroyed) {
      response.write(chunkOf(`${pace.sent++}`))
      await new Promise((resolve) => setTimeout(resolve, PACE_MS))
    }
    response.end('data: [DONE]\n\n')
  })
  const pace: Pace = { llm, id: '', sent: 0, isEnding: false }
  return pace
}

interface Control {
  goesOn(): Promise<void>
  /** Ends the stream, which must have come whole and in order. */
  end(t: Test): Promise<void>
}

async function startControl(t: Test, { chatUrl, pace }: Scene): Promise<Control> {
  const outgoing = post(chatUrl, { model: pace.id, messages: [], stream: true })
  t.teardown(() => outgoing.destroy())
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  let text = ''
  response.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  let isOver = false
  response
    .on('error', () => {})
    .once('close', () => {
      isOver = true
    })
  const heard = () => text.split('\n\n').length - 1
  return {
    async goesOn() {
      const before = heard()
      await eventually(() => heard() >= before + 3, 'the stream of another participant goes on')
    },
    async end(t) {
      pace.isEnding = true
      await eventually(() => isOver, 'the stream of another participant ends')
      const whole = Array.from({ length: pace.sent }, (_, number) => chunkOf(`${number}`)).join('')
      t.ok(response.complete && text === `${whole}data: [DONE]\n\n`, 'another stream came whole and in order')
    },
  }
}

// --- a fault, and what must be left of it

export interface Seat<P extends Peer = Peer> {
  id: string
  peer: P
}

export interface Beside {
  /** Resolves once more chunks of another participant's stream have come: to be called while the fault goes on. */
  goesOn(): Promise<void>
  /** A client of the hub below HTTP. */
  dial(): RawClient
  /** A participant below HTTP, handed each request once that is there as a whole. */
  seat(answer: RawAnswerer, model?: string): Promise<Seat<RawLlm>>
  /** A participant below HTTP, handed each connection as it is opened. */
  seatRaw(take: (socket: Socket) => void): Promise<Seat>
  /** Bytes of a chat request to this participant, or for this model. */
  ask(name: string, headers?: string): string
  /** Resolves once the hub itself has let go of all clients that were dialled, while these hold on. */
  letGo(): Promise<void>
}

export interface Allowance {
  /** Connections that each participant may keep for the next request. @default 0 */
  idle?: number
}

/** Longer than a busy machine takes to notice that a socket has closed. */
const SETTLE_MS = 8000

/**
 * One fault beside a stream of another participant. The stream comes whole and in order, and goes on while the fault does.
 * Afterwards no slot is held, and all sockets of both sides are closed that were not open before.
 */
export async function withstand(
  t: Test,
  scene: Scene,
  fault: (beside: Beside) => Promise<void>,
  { idle = 0 }: Allowance = {},
): Promise<void> {
  const { app, clients, upstreams } = scene
  const before = { clients: clients.size, upstreams: upstreams.size }
  const control = await startControl(t, scene)
  const dialled: RawClient[] = []
  const peers: Peer[] = []
  let looks = 0
  const sat = async <P extends Peer>(peer: P, model?: string): Promise<Seat<P>> => {
    peers.push(peer)
    return { id: await scene.join(peer.url, model), peer }
  }
  await fault({
    async goesOn() {
      looks += 1
      await control.goesOn()
    },
    dial() {
      const client = dial(scene.port)
      dialled.push(client)
      return client
    },
    seat: async (answer, model) => sat(await startRawLlm(t, answer), model),
    seatRaw: async (take) => sat(await startPeer(t, take)),
    ask: (id, headers = '') => chatRequest(scene, id, headers),
    async letGo() {
      await eventually(() => clients.size <= before.clients + 1, 'the hub closes its end by itself', SETTLE_MS)
      const sees = ({ isCut, socket }: RawClient) => isCut || socket.isPaused()
      await eventually(() => dialled.every(sees), 'its clients see that')
    },
  })
  t.ok(looks > 0, 'another stream was looked at while the fault went on')
  await control.end(t)
  for (const client of dialled) client.leave()
  await eventually(() => app.ollamaProxy.inFlight === 0, 'no slot is held', SETTLE_MS)
  await eventually(() => clients.size <= before.clients, "the hub's ends to its clients are closed", SETTLE_MS)
  await eventually(
    () => peers.every((peer) => openOnes(peer) <= idle),
    "the participants' sockets are closed",
    SETTLE_MS,
  )
  // An idle connection is the participant's to close, too.
  for (const { sockets } of peers) for (const socket of sockets) socket.destroy()
  await eventually(() => upstreams.size <= before.upstreams, "the hub's ends to participants are closed", SETTLE_MS)
}

/** A server that does not read does not notice that the hub has gone. */
function openOnes({ sockets }: Peer): number {
  for (const socket of sockets) socket.resume()
  return sockets.size
}

function chatRequest({ chatPath }: Scene, id: string, headers: string): string {
  const body = JSON.stringify({ model: id, messages: [{ role: 'user', content: PROMPT }] })
  return `POST ${chatPath} HTTP/1.1\r\nHost: hub\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** A whole answer without any chunks, after which the participant closes. */
export function plain(body: string, headers = ''): string {
  return `HTTP/1.1 200 OK\r\nConnection: close\r\n${headers}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
}

/** Does it again and again until the socket is closed; nobody waits for it. */
export function keepOn(socket: Socket, pauseMs: number, act: () => void): void {
  const timer = setInterval(() => (socket.writable ? act() : clearInterval(timer)), pauseMs)
  socket.once('close', () => clearInterval(timer))
}
