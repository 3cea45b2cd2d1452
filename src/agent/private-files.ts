import { randomUUID } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Tokens are for their owner alone. */
const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

/** @returns undefined where there is none, or none that is JSON: what a crash or a hand has spoilt is as good as gone */
export async function readJson<T>(file: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as T
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Either all of it is there afterwards, or what was before; readable by its owner alone at every moment. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await makeDirectory(dirname(file))
  const draft = `${file}.${process.pid}.${randomUUID()}`
  try {
    const handle = await open(draft, 'wx', FILE_MODE)
    try {
      await handle.writeFile(`${JSON.stringify(value, undefined, 2)}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(draft, file)
  } finally {
    await rm(draft, { force: true })
  }
}

export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE })
  // It may have been there before, and be open to others.
  await chmod(directory, DIRECTORY_MODE)
}
