import type { Estimate } from './statistics.ts'

/** Three digits that mean something. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–'
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** `1.23 (1.20–1.27)` */
export function interval({ value, low, high }: Estimate, unit = ''): string {
  return `${number(value)}${unit} (${number(low)} to ${number(high)})`
}

const KIB = 1024
const MIB = 1024 * 1024

export const mebibytes = (bytes: number): string => `${number(bytes / MIB)} MB`
export const kibibytes = (bytes: number): string => `${number(bytes / KIB)} KB`
