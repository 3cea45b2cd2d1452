/** Why a request did not get through a tunnel, by the codes that the proxy has sentences for. */
export type TunnelErrorCode = 'PTL_TUNNEL_GONE' | 'PTL_TUNNEL_BROKEN' | 'PTL_TUNNEL_REFUSED'

const MESSAGES: Readonly<Record<TunnelErrorCode, string>> = {
  PTL_TUNNEL_GONE: 'Its tunnel is not open',
  PTL_TUNNEL_BROKEN: 'Its tunnel broke',
  PTL_TUNNEL_REFUSED: 'The other end of its tunnel refused the request',
}

export class TunnelError extends Error {
  readonly code: TunnelErrorCode

  constructor(code: TunnelErrorCode, cause?: unknown) {
    super(MESSAGES[code], { cause })
    this.code = code
  }
}
