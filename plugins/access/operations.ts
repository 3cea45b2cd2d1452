/** Who somebody is in a room, from least to most. Nobody in particular is `guest` where the room has no password. */
export type Role = 'stranger' | 'guest' | 'participant' | 'host' | 'admin'

interface Rule {
  /** Who may. Where `admin` stands, anybody may as long as the hub has no admin token. */
  readonly roles: readonly Role[]
  readonly summary: string
  /** Who may besides, by a check of its own. */
  readonly besides?: string
}

const EVERYBODY = ['stranger', 'guest', 'participant', 'host', 'admin'] as const
const MEMBERS = ['guest', 'participant', 'host'] as const

/** The one table that decides who may do what. A route names its operation; nothing else grants anything. */
export const OPERATIONS = {
  health: { roles: EVERYBODY, summary: 'ask whether the hub answers' },
  describe: { roles: EVERYBODY, summary: 'read the description of the API' },
  listRooms: { roles: EVERYBODY, summary: 'list the rooms that are listed' },
  createRoom: { roles: ['admin'], summary: 'open a room' },
  watchHub: { roles: ['admin'], summary: "watch the hub's rooms" },
  readMetrics: { roles: ['admin'], summary: "read the hub's metrics" },
  seeRoom: { roles: EVERYBODY, summary: 'see that a room exists' },
  updateRoom: { roles: ['host'], summary: 'change a room' },
  closeRoom: { roles: ['host'], summary: 'close a room' },
  join: { roles: MEMBERS, summary: 'bring an LLM server', besides: "with the room's password in the body" },
  leave: { roles: EVERYBODY, summary: 'leave', besides: 'the participant itself, by its token or its address' },
  heartbeat: {
    roles: EVERYBODY,
    summary: 'send a heartbeat',
    besides: 'the participant itself, by its token or its address',
  },
  openTunnel: {
    roles: EVERYBODY,
    summary: 'open the tunnel of a participant',
    besides: 'the participant itself, by its token',
  },
  listParticipants: { roles: MEMBERS, summary: 'list the participants' },
  getParticipant: { roles: MEMBERS, summary: 'look at a participant' },
  updateParticipant: { roles: MEMBERS, summary: 'change a participant', besides: 'itself; the host to pause it' },
  removeParticipant: { roles: ['host'], summary: 'remove a participant' },
  watchRoom: { roles: MEMBERS, summary: 'watch a room', besides: 'with a ticket for it' },
  createTicket: { roles: MEMBERS, summary: 'get a ticket for the event stream' },
  listModels: { roles: MEMBERS, summary: 'list the models' },
  infer: { roles: MEMBERS, summary: 'ask a model' },
  manageModels: { roles: MEMBERS, summary: "change a participant's models, where it allowed that" },
  createKey: { roles: ['host'], summary: 'mint a personal key' },
  listKeys: { roles: ['host'], summary: 'list the personal keys' },
  revokeKey: { roles: ['host'], summary: 'revoke a personal key' },
  readUsage: { roles: MEMBERS, summary: 'read the usage', besides: "a key's holder its own; the host all" },
  unknown: { roles: MEMBERS, summary: 'ask for a path below a room that is not served' },
} as const satisfies Record<string, Rule>

export type Operation = keyof typeof OPERATIONS

export function mayDo(operation: Operation, role: Role): boolean {
  return (OPERATIONS[operation].roles as readonly Role[]).includes(role)
}

/** Operations that need no role, or check what they need by themselves: no credential is looked at before them. */
export function isForEverybody(operation: Operation): boolean {
  return mayDo(operation, 'stranger')
}
