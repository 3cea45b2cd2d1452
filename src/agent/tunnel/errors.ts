/** Why no tunnel could be opened, and so what may help. */
export type TunnelFailure =
  /** Nobody answers there, or not in time. */
  | 'unreachable'
  /** The hub said no: `status` and the message say why. */
  | 'refused'
  /** Something in between answered, or took the WebSocket out of the request: only a plain endpoint helps. */
  | 'blocked'
  /** The hub speaks another version of tunnels: one of the two sides is to be updated. */
  | 'version'

export interface TunnelFailureDetails {
  readonly status?: number
  /** Of the connection's error: `ECONNREFUSED`. */
  readonly code?: string
  readonly cause?: unknown
}

export class TunnelConnectError extends Error {
  override readonly name = 'TunnelConnectError'
  readonly kind: TunnelFailure
  readonly status: number | undefined
  readonly code: string | undefined

  constructor(kind: TunnelFailure, message: string, { status, code, cause }: TunnelFailureDetails = {}) {
    super(message, { cause })
    this.kind = kind
    this.status = status
    this.code = code
  }
}
