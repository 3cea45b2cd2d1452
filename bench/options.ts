import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'

/** A script of this folder as a command: `--help` lists its options, and what is mistyped ends it with one sentence. */
export function script(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .allowExcessArguments(false)
    .showHelpAfterError(`See npm run ${name} -- --help`)
}

/** @throws InvalidArgumentError */
export function wholeNumber(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('It must be a whole number from 1.')
  return number
}

/**
 * A file that can be written, found out before anything is measured.
 * @throws InvalidArgumentError
 */
export function writableFile(path: string): string {
  const file = resolve(path)
  const isThere = existsSync(file)
  if (isThere && statSync(file).isDirectory()) throw new InvalidArgumentError(`${file} is a folder.`)
  try {
    accessSync(isThere ? file : dirname(file), constants.W_OK)
  } catch {
    throw new InvalidArgumentError(`${file} can't be written.`)
  }
  return file
}
