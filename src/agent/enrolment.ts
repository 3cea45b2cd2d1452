import { setTimeout as sleep } from 'node:timers/promises'
import type { JoinBody, Participant, ParticipantPatch, Specs } from '../../schemas/participant.ts'
import { type HubApi, isPassing, refusalOf } from './hub-api.ts'
import type { Identities, Identity, Place } from './identities.ts'
import type { Transport } from './link.ts'
import { anotherId } from './names.ts'

export interface EnrolmentOptions {
  hub: HubApi
  transport: Transport
  identities: Identities
  place: Place
  nickname: string
  id: string
  /** The id was chosen by its owner, so no other will do. */
  isOwnId: boolean
  /** The room's, where it has one and it is known. */
  password(): string | undefined
  slots?: number | undefined
  /** Whether the room may fetch and delete models. */
  manage?: boolean | undefined
  /** Absent: they are not told. */
  specs?: Promise<Specs> | undefined
  onNotice(message: string): void
}

/** The room must not wait for programs of the system that tell what this machine is made of. */
const SPECS_PATIENCE_MS = 2000

/** Other ids to try where the first is somebody else's. */
const MAX_IDS = 5

/** Who the participant is in its room, by which token, and what the room was told of it. */
export class Enrolment {
  readonly #options: EnrolmentOptions
  readonly #signal: AbortSignal
  #id: string
  #identity: Identity | undefined
  #specs: Specs | undefined
  #announced: readonly string[] = []
  /** As the hub showed it last. */
  participant: Participant | undefined
  roomId = ''
  transport: Transport

  constructor(options: EnrolmentOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#id = options.id
    this.transport = options.transport
  }

  get id(): string {
    return this.#id
  }

  /** In this process, not only in one before. */
  get hasJoined(): boolean {
    return this.roomId !== ''
  }

  get #call() {
    return { credential: this.#identity?.token, signal: this.#signal }
  }

  get member() {
    const { id, token } = this.#identity as Identity
    return { code: this.#options.place.code, id, token }
  }

  /** Who it was, where it was in this room before. */
  async recall(): Promise<void> {
    const { identities, place, isOwnId, id, specs } = this.#options
    const known = await identities.load(place).catch(() => undefined)
    // Who is told to be somebody else is somebody else.
    if (known !== undefined && !(isOwnId && known.id !== id)) this.#identity = known
    this.#id = this.#identity?.id ?? id
    this.#specs = await Promise.race([specs, sleep(SPECS_PATIENCE_MS, undefined, { ref: false })])
  }

  /** Under another id where that is somebody else's, and its owner did not choose it. @throws as the hub's API */
  async join(models: readonly string[]): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#joinAs(this.#id, models)
      } catch (error) {
        if (!isTaken(error) || this.#options.isOwnId || tries >= MAX_IDS) throw error
        this.#id = anotherId(this.#options.id)
        this.#identity = undefined
      }
    }
  }

  async #joinAs(id: string, models: readonly string[]): Promise<void> {
    const { hub, place, nickname } = this.#options
    const fields = await this.transport.joinFields()
    const body: JoinBody = { id, nickname, models: [...models], ...fields, ...this.#optionalFields() }
    const { participant, roomId, token } = await hub.join(place.code, body, this.#call)
    const wasLeaving = this.#identity?.isLeaving === true
    this.#identity = { ...place, id, nickname, token }
    this.roomId = roomId
    this.participant = participant
    this.#announced = models
    await this.#keep(this.#identity)
    // It was paused so that it could leave, and did not get that far.
    if (wasLeaving && participant.paused === true) await this.update({ paused: false })
  }

  #optionalFields(): Partial<JoinBody> {
    const { slots, manage } = this.#options
    const password = this.#options.password()
    return {
      ...(password === undefined ? {} : { password }),
      ...(slots === undefined ? {} : { slots }),
      ...(this.#specs === undefined ? {} : { specs: this.#specs }),
      ...(manage === true ? { manage } : {}),
    }
  }

  async #keep(identity: Identity): Promise<void> {
    await this.#options.identities.save(identity).catch((error: Error) => {
      this.#options.onNotice(`The token can't be kept, so the next join is somebody new: ${error.message}`)
    })
  }

  /** Whether its owner has taken it out by another command, which throws the token away. */
  async isForgottenHere(): Promise<boolean> {
    const { identities, place } = this.#options
    return (await identities.load(place).catch(() => this.#identity)) === undefined
  }

  /** Whether the room that it joined is still there. */
  async isSameRoom(): Promise<boolean> {
    const { hub, place } = this.#options
    const room = await hub.room(place.code, { signal: this.#signal }).catch(() => undefined)
    return room !== undefined && room.id === this.roomId
  }

  look(): ReturnType<HubApi['participant']> {
    return this.#options.hub.participant(this.#options.place.code, this.#id, this.#call)
  }

  async update(patch: ParticipantPatch): Promise<void> {
    const { hub, place } = this.#options
    this.participant = await hub.updateParticipant(place.code, this.#id, patch, this.#call)
  }

  /** @returns what has changed, where the room was told @throws as the hub's API, where it may take them later */
  async announce(models: readonly string[]) {
    const before = this.#announced
    const added = models.filter((name) => !before.includes(name))
    const removed = before.filter((name) => !models.includes(name))
    if (added.length + removed.length === 0) return undefined
    try {
      await this.update({ models: [...models] })
    } catch (error) {
      const refusal = refusalOf(error)
      if (isPassing(refusal) || isUnknown(refusal.code)) throw error
      // A hub that refuses these names refuses them again.
      this.#announced = models
      this.#options.onNotice(`The room does not take the models: ${refusal.message}`)
      return undefined
    }
    this.#announced = models
    return { added, removed }
  }

  /** What came too late to be told with the join. */
  async tellSpecs(): Promise<void> {
    const late = this.#specs === undefined ? await this.#options.specs : undefined
    if (late === undefined || this.#signal.aborted) return
    this.#specs = late
    await this.update({ specs: late }).catch(() => {})
  }

  /** Lets nothing new in any more; who is killed meanwhile must not come back paused. */
  async close(): Promise<void> {
    const identity = this.#identity
    if (identity === undefined || !this.hasJoined) return
    if (this.participant?.paused !== true) await this.#keep({ ...identity, isLeaving: true })
    await this.update({ paused: true }).catch(() => {})
  }

  /** Where the hub is away it may still know the participant: by the token the next join is that one. */
  async leave(): Promise<void> {
    const { hub, place, identities } = this.#options
    const identity = this.#identity
    if (identity === undefined || !this.hasJoined) return
    const isGone = await hub.leave(place.code, this.#id, this.#call).then(
      () => true,
      (error) => isUnknown(refusalOf(error).code),
    )
    if (isGone) await identities.remove(identity).catch(() => {})
  }
}

function isTaken(error: unknown): boolean {
  const { code } = refusalOf(error)
  return code === 'PTL_PARTICIPANT_ID_TAKEN' || code === 'PTL_ID_IS_MODEL'
}

function isUnknown(code: string): boolean {
  return code === 'PTL_PARTICIPANT_NOT_FOUND' || code === 'PTL_ROOM_NOT_FOUND'
}
