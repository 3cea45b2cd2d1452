import { link, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { uptime } from 'node:os'

export interface Lock {
  release(): Promise<void>
}

/** Another process of this machine holds it. */
export class Locked extends Error {
  readonly pid: number
  readonly file: string
  constructor(pid: number, file: string) {
    super(`Process ${pid} holds ${file}`)
    this.name = 'Locked'
    this.pid = pid
    this.file = file
  }
}

/** The clock of the file system and that of the machine's start may differ by so much. */
const BOOT_SLACK_MS = 5000

/** How long it may take to take over a lock. */
const TAKEOVER_MS = 10_000

/** Of this process. A file with its id that is none of these is of one that had the same id: in a container it often is. */
const held = new Set<string>()

/**
 * Held by a file with the holder's process id. Of a holder that died without letting go nothing is left but the file: it is
 * taken over where no such process runs, or where the file is older than the machine's start and the id is somebody else's.
 * @throws Locked
 */
export async function takeLock(file: string): Promise<Lock> {
  const draft = `${file}.${process.pid}`
  await writeFile(draft, String(process.pid), { mode: 0o600 })
  try {
    if (!(await linked(draft, file))) {
      const holder = await holderOf(file)
      if (holder !== undefined) throw new Locked(holder, file)
      await takeOver(draft, file)
    }
  } finally {
    await rm(draft, { force: true })
  }
  held.add(file)
  return {
    async release() {
      held.delete(file)
      if ((await pidIn(file)) === process.pid) await rm(file, { force: true })
    },
  }
}

/** Of several that find the holder dead, one at a time may remove its file: a later one would remove the first one's. */
async function takeOver(draft: string, file: string): Promise<void> {
  const gate = `${file}.takeover`
  if (!(await linked(draft, gate))) {
    const { mtimeMs } = await stat(gate).catch(() => ({ mtimeMs: Date.now() }))
    // It takes no time, so that one died in the midst of it; the next try finds it gone.
    if (Date.now() - mtimeMs > TAKEOVER_MS) await rm(gate, { force: true })
    throw new Locked((await pidIn(file)) ?? 0, file)
  }
  try {
    const holder = await holderOf(file)
    if (holder !== undefined) throw new Locked(holder, file)
    if (await exists(file)) await rm(file, { force: true })
    if (!(await linked(draft, file))) throw new Locked((await holderOf(file)) ?? 0, file)
  } finally {
    await rm(gate, { force: true })
  }
}

function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

/** A hard link is made whole or not at all, unlike a file that is written after it was created. */
async function linked(draft: string, file: string): Promise<boolean> {
  try {
    await link(draft, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function holderOf(file: string): Promise<number | undefined> {
  const [pid, mtimeMs] = await Promise.all([
    pidIn(file),
    stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    ),
  ])
  const startedAt = Date.now() - uptime() * 1000
  if (pid === undefined || mtimeMs <= startedAt - BOOT_SLACK_MS) return undefined
  if (pid === process.pid) return held.has(file) ? pid : undefined
  return isAlive(pid) && !(await isZombie(pid)) ? pid : undefined
}

/** It has ended, and nobody has taken note: as in a container without an init (proc_pid_stat(5)). */
async function isZombie(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return /\) Z /.test(stat.slice(stat.lastIndexOf(')')))
}

async function pidIn(file: string): Promise<number | undefined> {
  const pid = Number(await readFile(file, 'utf8').catch(() => ''))
  return Number.isInteger(pid) && pid > 0 ? pid : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it is there, and somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
