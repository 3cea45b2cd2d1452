/** One fenced block of the README's tour. Its info string is `<language> tour <name> [terminal|setup]`. */
export interface Step {
  /** For a block that is no shell command, the name of the file to save it as. */
  name: string
  language: string
  /** `terminal`: runs on in a terminal of its own. `setup`: typed once in every terminal. */
  kind: 'command' | 'terminal' | 'setup' | 'file'
  text: string
}

/** What the README's reader replaces by what is true for him. */
export const PLACEHOLDERS = {
  hub: 'http://localhost:3000',
  code: 'K7QX2M',
  endpoint: 'http://localhost:11434',
  model: 'llama3.2:3b',
} as const

const BLOCK = /^```(\w+) tour (\S+)(?: (terminal|setup))?\n(.*?)^```$/gms

export function readSteps(readme: string): Step[] {
  return Array.from(readme.matchAll(BLOCK), ([, language = '', name = '', flag, text = '']) => {
    const kind = language === 'sh' ? ((flag ?? 'command') as Step['kind']) : 'file'
    return { name, language, kind, text: text.trimEnd() }
  })
}
