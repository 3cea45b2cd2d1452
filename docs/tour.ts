/**
 * Runs the README's tour as it stands there, against a real hub and a real LLM server, and writes down what it prints.
 *
 *   LLAMA_DIR=… node docs/tour.ts [--out FILE]   LLAMA_DIR: where `test/llm/llama-server.sh install` put the server
 *
 * PORT moves the hub to another port than 3000.
 */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { PLACEHOLDERS, readSteps, type Step } from './readme.ts'
import { endAll, finished, ROOT, shown, type Terminal, type } from './terminal.ts'

/** The test model is told to talk on, so that no answer is empty, and to end after so many tokens. */
const TALKATIVE = '--ignore-eos --predict 12'

/** What must appear before the tour goes on. */
const EXPECTED: Record<string, RegExp[]> = {
  start: [/the hub listens at http/],
  open: [/"code":"[A-Z0-9]{6}"/, /"hostToken":"/],
  watch: [/^event: connected$/m],
  join: [/"event":"joined".*"via":"tunnel"/, /"state":"online"/],
  chat: [/"role":"assistant","content":"[^"]/, /"total_tokens":\d/],
  stream: [/^data: .*"content":"[^"]/m, /^data: \[DONE\]$/m],
  models: [/"id":"alice-llama.cpp"/, /"id":"\*"/],
  client: [/^model: \*$/m, /^plain: .*\w/m, /^streamed: .*\w/m],
  ask: [/\w/, /^alice-llama\.cpp \(potluck-test\): \d+ tokens in /m],
  leave: [/^alice-llama\.cpp has left/m],
}

/** What the terminals that run on must have shown when all is done: two requests of curl's, two of the program's, one of the command's. */
const EXPECTED_AT_THE_END: Record<string, RegExp[]> = {
  watch: [
    /^event: participant:joined$/m,
    // Whoever has a stream's last frame may ask again before its end has come.
    /(^event: llm:request$.*?){5}/ms,
    /(^event: llm:complete$.*?){5}/ms,
    /^event: participant:left$/m,
  ],
}

interface Visit {
  /** What stands in the README, and what stands for it here. */
  places: Map<string, string>
  /** Typed first in every terminal. */
  setup: string
  files: string[]
  stateHome: string
}

interface Walked {
  step: Step
  terminal: Terminal | undefined
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** @returns the address of a real LLM server. */
async function startLlm(directory: string): Promise<string> {
  const port = await freePort()
  const server = type('LLM server', `bash test/llm/llama-server.sh run '${directory}' ${port} ${TALKATIVE}`)
  await shown(server, [/^ready: http/m])
  return `http://localhost:${port}`
}

function filledIn({ places }: Visit, text: string): string {
  return [...places].reduce((filled, [placeholder, value]) => filled.replaceAll(placeholder, value), text)
}

/** @returns the terminal where the step has run, or runs on; none where it only prepares something. */
async function walk(step: Step, visit: Visit): Promise<Terminal | undefined> {
  const text = filledIn(visit, step.text)
  if (step.kind === 'setup') visit.setup += `${text}\n`
  else if (step.kind === 'file') save(step.name, text, visit)
  else return run(step, text, visit)
  return undefined
}

function save(name: string, text: string, { files }: Visit): void {
  const path = join(ROOT, name)
  // Never over a file that was there before.
  writeFileSync(path, `${text}\n`, { flag: 'wx' })
  files.push(path)
}

async function run({ name, kind }: Step, text: string, visit: Visit): Promise<Terminal> {
  const patterns = EXPECTED[name]
  if (patterns === undefined) throw new Error(`${name}: docs/tour.ts must say what to expect of this step`)
  const terminal = type(name, visit.setup + text)
  if (kind === 'command') await finished(terminal)
  await shown(terminal, patterns)
  const code = /"code":"([A-Z0-9]{6})"/.exec(terminal.output)?.[1]
  if (code !== undefined) visit.places.set(PLACEHOLDERS.code, code)
  return terminal
}

async function walkAll(steps: Step[], visit: Visit): Promise<Walked[]> {
  const walked: Walked[] = []
  for (const step of steps) {
    walked.push({ step, terminal: await walk(step, visit) })
    console.log(`ok ${step.name}`)
  }
  for (const [name, patterns] of Object.entries(EXPECTED_AT_THE_END)) {
    const terminal = walked.find(({ step }) => step.name === name)?.terminal
    if (terminal === undefined) throw new Error(`${name}: the README has no such step`)
    await shown(terminal, patterns)
  }
  return walked
}

const PREFACE = `# The tour, as it went

\`docs/tour.ts\` wrote this: it runs the README's tour as it stands there and notes what it prints. The LLM server is a real one,
llama.cpp; its model is tiny, knows kitchen words only and stops after twelve. The addresses, the model's name and the room's
code are filled in as a reader would, and of the hub's log only the messages are shown.
`

/** The rest of a log line is about the machine. */
function readable(output: string): string {
  return output.replace(/^\{"level":.*"msg":"(.*)"\}$/gm, '$1').trim()
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`
}

function section({ step, terminal }: Walked, visit: Visit): string {
  const title = step.kind === 'terminal' ? `${step.name}, in a terminal of its own until the end` : step.name
  const typed = `## ${title}\n\n${fenced(step.language, filledIn(visit, step.text))}`
  return terminal === undefined ? typed : `${typed}\n${fenced('text', readable(terminal.output))}`
}

async function tour(llamaDirectory: string, visit: Visit): Promise<string> {
  visit.places.set(PLACEHOLDERS.hub, `http://localhost:${process.env.PORT ?? '3000'}`)
  visit.places.set(PLACEHOLDERS.model, 'potluck-test')
  const llm = await startLlm(llamaDirectory)
  visit.places.set(PLACEHOLDERS.endpoint, llm)
  // Where `join` looks first, and where it keeps its tokens: this is somebody's machine.
  visit.setup = `export OLLAMA_HOST=${llm} XDG_STATE_HOME='${visit.stateHome}'\n`
  const walked = await walkAll(readSteps(readFileSync(join(ROOT, 'README.md'), 'utf8')), visit)
  return [PREFACE, ...walked.map((each) => section(each, visit))].join('\n')
}

function cleanUp({ files, stateHome }: Visit): void {
  endAll()
  rmSync(stateHome, { recursive: true, force: true })
  for (const file of files) rmSync(file, { force: true })
}

const { values } = parseArgs({ options: { out: { type: 'string', default: join(ROOT, 'docs/tour.md') } } })
const { LLAMA_DIR } = process.env
if (LLAMA_DIR === undefined) throw new Error('LLAMA_DIR must say where the llama.cpp server is: see test/llm/README.md')
const stateHome = mkdtempSync(join(tmpdir(), 'potluck-tour-'))
const visit: Visit = { places: new Map(), setup: '', files: [], stateHome }
process.once('SIGINT', () => {
  cleanUp(visit)
  process.exit(130)
})
try {
  writeFileSync(values.out, await tour(LLAMA_DIR, visit))
  console.log(`written: ${values.out}`)
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = 1
} finally {
  cleanUp(visit)
}
