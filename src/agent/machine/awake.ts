import { type ChildProcess, spawn } from 'node:child_process'

/** Requests come in bursts: the machine is let go only once none has come for so long. */
const LINGER_MS = 30_000

/**
 * What holds off sleep until it is ended, by platform. Each ends by itself when this process is gone: the first two wait for
 * a process that ends with its standard input, `caffeinate -w` for ours.
 */
const HOLDERS: Partial<Record<NodeJS.Platform, (pid: number) => readonly string[]>> = {
  // https://www.freedesktop.org/software/systemd/man/latest/systemd-inhibit.html
  linux: () => ['systemd-inhibit', '--what=sleep:idle', '--who=potluck', '--why=Serving a model to the room', 'cat'],
  // -i: idle sleep only; a laptop whose lid is closed still sleeps.
  darwin: (pid) => ['caffeinate', '-i', '-w', String(pid)],
  win32: () => ['powershell', '-NoProfile', '-NonInteractive', '-Command', WINDOWS_SCRIPT],
}

/** https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setthreadexecutionstate: ES_CONTINUOUS | ES_SYSTEM_REQUIRED */
const WINDOWS_SCRIPT = [
  '$power = Add-Type -Name Power -Namespace Potluck -PassThru -MemberDefinition',
  `'[DllImport("kernel32.dll")] public static extern uint SetThreadExecutionState(uint flags);';`,
  '[void]$power::SetThreadExecutionState([uint32]"0x80000001"); [void][Console]::In.ReadToEnd()',
].join(' ')

export interface Awake {
  /** Whether something is served right now. */
  serving(isServing: boolean): void
  close(): void
}

export interface AwakeOptions {
  platform?: NodeJS.Platform
  lingerMs?: number
  /** The command to hold with; for tests. @default the platform's */
  command?: readonly string[] | undefined
}

export const NEVER_AWAKE: Awake = { serving: () => {}, close: () => {} }

/** Keeps the machine from falling asleep while it serves. Where nothing can, it is as if it were not asked to. */
export function keepAwake({
  platform = process.platform,
  lingerMs = LINGER_MS,
  command = HOLDERS[platform]?.(process.pid),
}: AwakeOptions = {}): Awake {
  let holder: ChildProcess | undefined
  let timer: NodeJS.Timeout | undefined
  let isUseless = command === undefined

  const release = () => {
    clearTimeout(timer)
    timer = undefined
    holder?.stdin?.destroy()
    holder?.kill()
    holder = undefined
  }
  const hold = () => {
    const [program = '', ...args] = command ?? []
    const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'], windowsHide: true })
    // It may be missing, or be refused (no session, no D-Bus in a container): then it is not tried again.
    child.once('error', () => giveUp(child))
    child.once('exit', () => giveUp(child))
    child.stdin?.on('error', () => {})
    child.unref()
    holder = child
  }
  const giveUp = (child: ChildProcess) => {
    if (holder !== child) return
    holder = undefined
    isUseless = true
  }

  return {
    serving(isServing) {
      if (isUseless) return
      if (isServing) {
        clearTimeout(timer)
        timer = undefined
        if (holder === undefined) hold()
      } else if (holder !== undefined && timer === undefined) {
        timer = setTimeout(release, lingerMs)
        timer.unref()
      }
    },
    close() {
      isUseless = true
      release()
    },
  }
}
