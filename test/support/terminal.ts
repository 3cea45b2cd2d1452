import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { cleanEnv } from './cli.ts'
import { freshDirectory } from './fresh-directory.ts'

const DRIVER = fileURLToPath(new URL('./terminal.py', import.meta.url))
const LAUNCHER = fileURLToPath(new URL('../../bin/potluck.js', import.meta.url))
const PATIENCE_MS = 20_000

/** Why tests on a terminal can't run here; false where they can. */
export const noTerminal =
  spawnSync('python3', ['-c', 'import pty']).status === 0 ? false : 'SKIPPED: python3 is missing'

export interface Terminal {
  /** What stands on it, without the sequences that move the cursor. */
  shown(): string
  /** Resolves once that has appeared behind what was waited for last. */
  until(pattern: RegExp): Promise<void>
  type(keys: string): void
  exitCode: Promise<number | null>
}

/** `potluck` as somebody types it. */
export function onTerminal(t: Test, args: readonly string[], env: Record<string, string> = {}): Terminal {
  const child = spawn('python3', [DRIVER, process.execPath, LAUNCHER, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...cleanEnv(freshDirectory(t)), TERM: 'xterm', ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  let from = 0
  child.stdin.on('error', () => {})
  child.stdout.setEncoding('utf8').on('data', (data: string) => {
    text += data.replace(/\u001B\[[0-9;?]*[A-Za-z]/g, '')
  })
  const exitCode = once(child, 'close').then(([code]) => code as number | null)
  return {
    shown: () => text,
    async until(pattern) {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      for (;;) {
        const found = pattern.exec(text.slice(from))
        if (found !== null) {
          from += found.index + found[0].length
          return
        }
        if (signal.aborted || child.exitCode !== null) throw new Error(`no ${pattern} in ${JSON.stringify(text)}`)
        await Promise.race([once(child.stdout, 'data', { signal }), exitCode]).catch(() => {})
      }
    },
    type: (keys) => void child.stdin.write(keys),
    exitCode,
  }
}
