import { readFileSync } from 'node:fs'

export interface Instruction {
  name: string
  text: string
}

export interface Stage {
  /** `AS <name>`, else the number of the stage. */
  name: string
  instructions: Instruction[]
}

/** The stages of a Dockerfile, without comments, continued lines joined. Heredocs are not used in ours. */
export function readDockerfile(path: string): Stage[] {
  const lines = readFileSync(path, 'utf8')
    .replace(/^\s*#.*$/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  const instructions = lines.filter((line) => line.trim() !== '').map(parseLine)
  const stages: Stage[] = []
  for (const instruction of instructions) {
    if (instruction.name === 'FROM')
      stages.push({ name: stageName(instruction.text) ?? String(stages.length), instructions: [] })
    else stages.at(-1)?.instructions.push(instruction)
  }
  return stages
}

function parseLine(line: string): Instruction {
  const [, name = '', text = ''] = /^\s*([A-Za-z]+)\s+(.*)$/.exec(line) ?? []
  return { name: name.toUpperCase(), text: text.trim() }
}

function stageName(text: string): string | undefined {
  return /\bAS\s+(\S+)/i.exec(text)?.[1]
}

/** The words of an instruction in its JSON form; a shell form is given to a shell. */
export function commandOf(text: string): string[] {
  return text.startsWith('[') ? (JSON.parse(text) as string[]) : ['sh', '-c', text]
}

export function find(stage: Stage, name: string): string | undefined {
  return stage.instructions.findLast((instruction) => instruction.name === name)?.text
}
