import { hash, randomBytes } from 'node:crypto'

const TOKEN_BYTES = 32

export interface MintedToken {
  /** Given to its owner once, 256 random bits in base64url. */
  token: string
  /** What the hub keeps. */
  hash: string
}

/** A token has as much entropy as its hash, so a plain SHA-256 keeps it as well as a slow hash would. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'hex')
}

export function mintToken(): MintedToken {
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  return { token, hash: hashToken(token) }
}
