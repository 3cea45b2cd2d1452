import { EXIT, exitOf } from './exit-codes.ts'

/** What moves a terminal's cursor, changes its colours, or the direction of text. */
const UNPRINTABLE = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g
const LINE_ENDS = /[\t\n\u2028\u2029]+/g

/** Characters of a room's code. */
const MAX_CODE = 12

/** One line of JSON on standard output; it may be a terminal, and JSON lets some of that through. */
export function printJson(value: object): void {
  const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  process.stdout.write(`${JSON.stringify(value).replace(UNPRINTABLE, escaped)}\n`)
}

/** One line, whatever a hub has put into it. */
export function print(line: string): void {
  process.stdout.write(`${oneLine(line)}\n`)
}

/** To people; standard output is for what was asked for. */
export function tell(line: string): void {
  process.stderr.write(`${oneLine(line)}\n`)
}

/** Runs a command; what it throws is told in one sentence, and becomes the exit code. */
export function guarded<A extends unknown[]>(isJson: (...args: A) => boolean, run: (...args: A) => Promise<void>) {
  return async (...args: A): Promise<void> => {
    try {
      await run(...args)
    } catch (error) {
      // Whoever read the output has seen enough.
      if ((error as { code?: string }).code === 'EPIPE') return
      fail(error, isJson(...args))
    }
  }
}

export function fail(error: unknown, isJson: boolean): void {
  const exit = exitOf(error)
  const [exitCode] = EXIT[exit]
  const message = oneLine((error as Error).message)
  if (isJson) printJson({ event: 'error', message, exitCode })
  tell(exit === 'interrupted' ? 'potluck: interrupted' : `potluck: ${message}`)
  process.exitCode = exitCode
}

/** What others wrote, in lines of its own: an answer. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '')
}

/** What others wrote, within a line of ours: it must not forge another. */
export function oneLine(text: unknown): string {
  return printable(String(text).replace(LINE_ENDS, ' '))
}

/** A room's code as a hub says it: people paste it into a shell, and it is a part of URLs. */
export function codeOf(text: unknown): string {
  return String(text)
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, MAX_CODE)
}

/** In columns. @returns lines */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map((row) => line(row).trimEnd())
}
