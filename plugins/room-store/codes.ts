import { customAlphabet } from 'nanoid'

/** A–Z and 0–9 without the pairs that people mix up: 0 O 1 I L. */
export const CODE_ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789'
export const CODE_LENGTH = 6

/** 31^6, some 900 million. A code is a name, not a secret: what must be protected has a password. */
export const newRoomCode: () => string = customAlphabet(CODE_ALPHABET, CODE_LENGTH)

/** ASCII alone: in Unicode `ß` becomes `SS`, and would find a room that nobody named. */
const CODE = /^[A-Za-z0-9]{4,12}$/

/** @returns the code as it is stored, or undefined where the text can't be one. */
export function normalizeCode(code: string): string | undefined {
  return CODE.test(code) ? code.toUpperCase() : undefined
}
