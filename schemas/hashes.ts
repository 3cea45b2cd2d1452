import { timingSafeEqual } from 'node:crypto'

/** Compares two SHA-256 hashes in hex in constant time. */
export function sameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}
