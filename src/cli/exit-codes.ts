/** As `sysexits.h` names them, where it has a name for it; docs/cli.md is written from this. */
export const EXIT = {
  ok: [0, 'Done; `join`: left as asked'],
  failed: [1, 'Failed for another reason; the message says which'],
  usage: [64, 'The command line is wrong, or needs a room code'],
  noModel: [66, 'No LLM server was found, the endpoint is none, or nobody has the model'],
  noSuch: [67, 'There is no such room, or nobody has joined it from this machine'],
  unavailable: [69, 'No hub, or no LLM server, can be reached there'],
  hubFailed: [70, 'The hub failed; its log says why'],
  taken: [73, 'The room code or participant id is in use'],
  tryLater: [
    75,
    'Not now: joined from this machine already; everybody is busy, paused or away; too many wrong passwords',
  ],
  protocol: [76, 'What answers is no Potluck hub, or one of another version'],
  refused: [77, 'The password or token is wrong or missing, or the host removed the participant'],
  config: [78, 'A setting of the hub is wrong'],
  interrupted: [130, 'Interrupted before it was done; `join`: a second Ctrl-C'],
} as const satisfies Record<string, readonly [code: number, meaning: string]>

export type ExitName = keyof typeof EXIT

/** A failure that is told in one sentence and ends the command. */
export class Failure extends Error {
  readonly exit: ExitName
  constructor(exit: ExitName, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Failure'
    this.exit = exit
  }
}

const BY_CODE: Readonly<Record<string, ExitName>> = {
  PTL_HUB_UNREACHABLE: 'unavailable',
  PTL_OUT_OF_REACH: 'unavailable',
  PTL_NOT_A_HUB: 'protocol',
  PTL_TUNNEL_BLOCKED: 'unavailable',
  PTL_TUNNEL_VERSION: 'protocol',
  PTL_PROXY_FAILED: 'unavailable',
  PTL_PARTICIPANT_FAILED: 'failed',
  PTL_HUB_FAILED: 'hubFailed',
  PTL_ROOM_NOT_FOUND: 'noSuch',
  PTL_PARTICIPANT_NOT_FOUND: 'noSuch',
  PTL_NO_PARTICIPANT: 'noModel',
  PTL_CODE_TAKEN: 'taken',
  PTL_PARTICIPANT_ID_TAKEN: 'taken',
  PTL_ID_IS_MODEL: 'taken',
  PTL_MODEL_IS_ID: 'taken',
  PTL_ROOM_FULL: 'taken',
  PTL_TOO_MANY_GUESSES: 'tryLater',
  PTL_INVALID_PASSWORD: 'refused',
  PTL_PASSWORD_REQUIRED: 'refused',
  PTL_TOKEN_REQUIRED: 'refused',
  PTL_NOT_YOUR_PARTICIPANT: 'refused',
  PTL_ADMIN_ONLY: 'refused',
}

const BY_STATUS: Readonly<Record<number, ExitName>> = {
  400: 'usage',
  401: 'refused',
  403: 'refused',
  // Of inference: everybody is busy, paused or away.
  429: 'tryLater',
  503: 'tryLater',
}

/** By the error's `code`, else by the status that the hub answered with. */
export function exitOf(error: unknown): ExitName {
  if (error instanceof Failure) return error.exit
  const { code, status, name } = error as { code?: string; status?: number; name?: string }
  const known = code !== undefined && Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined
  if (known !== undefined && known !== 'hubFailed') return known
  if (name === 'ExitPromptError') return 'interrupted'
  return (status === undefined ? undefined : BY_STATUS[status]) ?? known ?? 'failed'
}
