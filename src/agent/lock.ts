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
      await rm(file, { force: true })
      // Of several that found the holder dead, one is first.
      if (!(await linked(draft, file))) throw new Locked((await holderOf(file)) ?? 0, file)
    }
  } finally {
    await rm(draft, { force: true })
  }
  return {
    async release() {
      if ((await pidIn(file)) === process.pid) await rm(file, { force: true })
    },
  }
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
  const isHeld = pid !== undefined && mtimeMs > startedAt - BOOT_SLACK_MS && isAlive(pid) && !(await isZombie(pid))
  return isHeld ? pid : undefined
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
