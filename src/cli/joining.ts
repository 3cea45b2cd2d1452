import { directTransport } from '../agent/direct.ts'
import type { AgentEvent, End } from '../agent/events.ts'
import { type Identities, openIdentities, type Place } from '../agent/identities.ts'
import type { Transport } from '../agent/link.ts'
import type { LlmServer } from '../agent/llm/server.ts'
import { type Lock, Locked } from '../agent/lock.ts'
import { type Awake, keepAwake, NEVER_AWAKE } from '../agent/machine/awake.ts'
import { readSpecs } from '../agent/machine/specs.ts'
import { Membership } from '../agent/membership.ts'
import { defaultNickname, idFor } from '../agent/names.ts'
import { stateDirectory } from '../agent/state-directory.ts'
import { tunnelTransport } from '../agent/tunnelled.ts'
import type { Client } from '../client/client.ts'
import { EXIT, exitOf, Failure } from './exit-codes.ts'
import { headersFrom } from './headers.ts'
import { findHub, readRoom } from './hubs.ts'
import { called } from './invocation.ts'
import type { JoinOptions } from './join.ts'
import { jsonView, liveView, type View } from './live.ts'
import { chooseRoom, isTerminal, noSuchRoom, passwordFrom, passwordNeeded, promptPassword } from './options.ts'
import { codeOf, tell } from './output.ts'
import { chooseServers } from './servers.ts'

/** Wrong passwords of one person at the keyboard. */
const MAX_PASSWORDS = 3

/** `potluck join`, from the command line to the exit code. @throws Failure, and as the hub's API */
export async function join(text: string | undefined, options: JoinOptions, isJson: boolean): Promise<void> {
  const wishes: Wishes = { ...options, headers: headersFrom(options.header) }
  checkTogether(wishes)
  const given = readRoom(text)
  const choosing = chooseServers(wishes)
  // Where both fail, the hub comes first.
  choosing.catch(() => {})
  const hub = await findHub({ hub: options.hub ?? given.hub })
  const code = given.code ?? (await chooseRoom(hub))
  const room = await roomOf(hub, code)
  const { servers, notices } = await choosing
  if (options.id !== undefined && servers.length > 1) {
    throw new Failure(
      'usage',
      `--id names one participant, and there are ${servers.length} LLM servers here: choose one by --endpoint`,
    )
  }
  const stay = new Stay(wishes, isJson)
  for (const notice of notices) stay.view.notice(notice)
  await stay.run(hub, { code: codeOf(room.code), isProtected: room.protected }, servers)
}

/** The options, and what they lead to. */
interface Wishes extends JoinOptions {
  headers: Readonly<Record<string, string>>
}

function checkTogether({ header, headers, endpoint, direct }: Wishes): void {
  if (Object.keys(headers).length === 0) return
  const what = header.length > 0 ? '--header' : 'POTLUCK_HEADERS'
  if (endpoint.length === 0) throw new Failure('usage', `${what} needs --endpoint: who shall get it?`)
  if (direct === true)
    throw new Failure(
      'usage',
      `${what} needs the tunnel: with --direct the hub calls the server, and it must not know your credentials`,
    )
}

async function roomOf(hub: Client, code: string) {
  try {
    return await hub.room(code)
  } catch (error) {
    throw (error as { code?: string }).code === 'PTL_ROOM_NOT_FOUND' ? await noSuchRoom(hub, code) : error
  }
}

interface RoomToJoin {
  code: string
  isProtected: boolean
}

/** The participants of one process, from joining to leaving. */
class Stay {
  readonly view: View
  readonly #options: Wishes
  readonly #identities: Identities = openIdentities(stateDirectory())
  readonly #locks: Lock[] = []
  readonly #awake: Awake
  readonly #serving = new Set<string>()
  #members: Membership[] = []
  #password: string | undefined
  #isStopping = false

  constructor(options: Wishes, isJson: boolean) {
    this.#options = options
    this.#password = passwordFrom(options)
    this.#awake = options.keepAwake ? keepAwake() : NEVER_AWAKE
    this.view = isJson ? jsonView() : liveView({ pause: () => void this.#togglePause(), leave: () => this.stop() })
  }

  async run(hub: Client, room: RoomToJoin, servers: readonly LlmServer[]): Promise<void> {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => this.stop())
    // Whoever read it is gone.
    process.stdout.on('error', () => {
      if (!this.#isStopping) this.stop()
    })
    try {
      this.#members = await this.#enlist(hub, room, servers)
      for (const member of this.#members) await this.#start(member, room)
      this.view.start(this.#members)
      const ends = await Promise.all(this.#members.map((member) => this.#stay(member)))
      this.view.close()
      this.#conclude(ends)
    } catch (error) {
      if (this.#isStopping) throw new Failure('interrupted', 'interrupted')
      await this.#leaveAll()
      throw error
    } finally {
      this.view.close()
      this.#awake.close()
      await Promise.all(this.#locks.map((lock) => lock.release().catch(() => {})))
    }
  }

  /** The first time what runs is finished, the second time the process ends. */
  stop(): void {
    if (this.#isStopping) {
      this.view.close()
      process.exit(EXIT.interrupted[0])
    }
    this.#isStopping = true
    const running = this.#members.reduce((sum, member) => sum + (member.running() ?? 0), 0)
    if (running > 0) this.view.notice(`Finishing ${running} running; Ctrl-C again ends at once`)
    void this.#leaveAll()
  }

  async #leaveAll(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.leave()))
  }

  /** One participant for each server that is not in the room already. */
  async #enlist(hub: Client, { code }: RoomToJoin, servers: readonly LlmServer[]): Promise<Membership[]> {
    const specs = this.#options.specs ? readSpecs() : undefined
    const held: Locked[] = []
    const members: Membership[] = []
    for (const server of servers) {
      const place = { hub: hub.url, code, server: server.url }
      try {
        this.#locks.push(await this.#identities.claim(place))
        members.push(this.#member(hub, place, server, specs))
      } catch (error) {
        if (!(error instanceof Locked)) throw error
        held.push(error)
        if (servers.length > 1) this.view.notice(heldSentence(server, code, error))
      }
    }
    const [first] = held
    if (members.length === 0 && first !== undefined)
      throw new Failure('tryLater', heldSentence(servers[0], code, first))
    return members
  }

  #member(hub: Client, place: Place, server: LlmServer, specs: ReturnType<typeof readSpecs> | undefined): Membership {
    const { model, nickname = defaultNickname(), id, slots, headers, manage } = this.#options
    return new Membership({
      hub,
      transport: this.#transport(hub, server),
      identities: this.#identities,
      place,
      server,
      headers,
      chosen: model,
      nickname,
      id: id ?? idFor(nickname, server.kind),
      isOwnId: id !== undefined,
      password: () => this.#password,
      slots,
      manage,
      specs,
      onEvent: (event: AgentEvent) => this.view.event(event),
      onServing: (isServing) => this.#serve(server.url, isServing),
    })
  }

  #transport(hub: Client, server: LlmServer): Transport {
    const { headers, manage = false, direct: isDirect = false } = this.#options
    const direct = directTransport({ hub, hubUrl: hub.url, server })
    if (isDirect) return direct
    // The hub must not know the owner's credentials, and without them the server would refuse it.
    const isPossible = Object.keys(headers).length === 0
    return tunnelTransport({ hubUrl: hub.url, server, headers, manage, direct: isPossible ? direct : undefined })
  }

  #serve(server: string, isServing: boolean): void {
    if (isServing) this.#serving.add(server)
    else this.#serving.delete(server)
    this.#awake.serving(this.#serving.size > 0)
  }

  async #start(member: Membership, { code, isProtected }: RoomToJoin): Promise<void> {
    if (isProtected && this.#password === undefined && isTerminal()) {
      this.#password = await promptPassword(`Password of ${code}`)
    }
    for (let tries = 1; ; tries += 1) {
      try {
        return await member.start()
      } catch (error) {
        const { code: why } = error as { code?: string }
        const isWrong = why === 'PTL_INVALID_PASSWORD' || why === 'PTL_PASSWORD_REQUIRED'
        if (isWrong && this.#password === undefined) throw passwordNeeded(code, error)
        if (!isWrong || !isTerminal() || tries >= MAX_PASSWORDS) throw error
        tell('That is not the password.')
        this.#password = await promptPassword(`Password of ${code}`)
      }
    }
  }

  async #stay(member: Membership): Promise<End> {
    const end = await member.stay()
    const message = sentenceOf(end)
    this.view.event({
      participantId: member.id,
      event: 'left',
      reason: end.reason,
      ...(message === undefined ? {} : { message }),
    })
    return end
  }

  async #togglePause(): Promise<void> {
    const isPaused = this.#members.every(({ state }) => state === 'paused')
    try {
      await Promise.all(this.#members.map((member) => member.setPaused(!isPaused)))
    } catch (error) {
      this.view.notice(`Can't ${isPaused ? 'resume' : 'pause'} now: ${(error as Error).message}`)
    }
  }

  /** Where not all left by their owner's wish, the first of the others says how it ended. */
  #conclude(ends: readonly End[]): void {
    const [bad] = ends.filter(({ reason }) => reason !== 'asked')
    if (bad === undefined) return
    const exits = { removed: 'refused', replaced: 'tryLater', asked: 'ok' } as const
    const exit = bad.reason === 'refused' ? exitOf(bad.error) : exits[bad.reason]
    process.exitCode = EXIT[exit][0]
  }
}

function heldSentence(server: LlmServer | undefined, code: string, { pid, file }: Locked): string {
  return `${server?.url ?? 'This server'} is in ${code} already: process ${pid} of this machine holds it. Leave it to that one, or end it by \`${called(`leave ${code}`)}\` and join again. If there is no such process, remove ${file}`
}

function sentenceOf({ reason, error }: End): string | undefined {
  if (reason === 'removed') return 'The host of the room removed it'
  if (reason === 'replaced') return 'Another process with its token took its place'
  return error === undefined ? undefined : (error as Error).message
}
