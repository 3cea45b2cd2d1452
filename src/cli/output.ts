import { EXIT, exitOf } from './exit-codes.ts'

/** One line of JSON on standard output. */
export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** To people; standard output is for what was asked for. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`)
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
  const message = printable((error as Error).message)
  if (isJson) printJson({ event: 'error', message, exitCode })
  tell(exit === 'interrupted' ? 'potluck: interrupted' : `potluck: ${message}`)
  process.exitCode = exitCode
}

/** What others wrote must not move the cursor, change colours or forge a line of ours. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, '')
}

/** In columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) => row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map((row) => line(row).trimEnd()).join('\n')
}
