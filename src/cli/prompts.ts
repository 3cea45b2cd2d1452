import { oneLine } from './output.ts'

/** Loaded only where somebody is asked: the other commands start without them. */

export async function password(message: string): Promise<string> {
  const { default: ask } = await import('@inquirer/password')
  return ask({ message: oneLine(message) }, { output: process.stderr })
}

export async function select(message: string, choices: { value: string; name: string }[]): Promise<string> {
  const { default: ask } = await import('@inquirer/select')
  const shown = choices.map(({ value, name }) => ({ value, name: oneLine(name) }))
  return ask({ message: oneLine(message), choices: shown }, { output: process.stderr })
}
