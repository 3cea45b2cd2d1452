import { execFile, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { commandOf, find, readDockerfile, type Stage } from '../support/dockerfile.ts'
import { ownPort } from '../support/ports.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const isRoot = process.getuid?.() === 0

/** `nobody`: neither root nor whoever made the checkout. */
const NOBODY = 65534

/** The image's Node is that of this process; certificates and proxies of the machine are needed to reach a registry. */
function environment(home: string, more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(npm_|_?TAP|NODE_OPTIONS|NODE_V8_COVERAGE)/.test(name),
  )
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  return { ...Object.fromEntries(inherited), PATH: path, HOME: home, ...more }
}

function asNobody(folder: string, more: Record<string, string> = {}): SpawnOptions {
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  return { cwd: folder, env: environment(folder, more), ...user }
}

function own(path: string): void {
  if (!isRoot) return
  chownSync(path, NOBODY, NOBODY)
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) own(join(path, entry.name))
    else if (!entry.isSymbolicLink()) chownSync(join(path, entry.name), NOBODY, NOBODY)
  }
}

/** tap makes every Node below it load its own hooks, which write into the checkout; the image knows nothing of them. */
function bare(command: readonly string[]): [string, string[]] {
  return ['env', ['-u', 'NODE_OPTIONS', ...command]]
}

/** COPY [--from=stage] source… target, into the folder that stands for the stage's WORKDIR. */
function copy(text: string, folder: string, stages: ReadonlyMap<string, string>): void {
  const words = text.split(/\s+/)
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined
  const target = words.pop() as string
  for (const source of words) {
    const path =
      from === undefined ? join(root, source) : join(stages.get(from) as string, source.replace(/^\/app\/?/, ''))
    const isInto = target.endsWith('/')
    cpSync(path, resolve(folder, isInto ? join(target, basename(source)) : target), {
      recursive: true,
      verbatimSymlinks: true,
    })
  }
}

/** Does what the stage says, in an empty folder and as another user. */
async function build(stage: Stage, folder: string, stages: ReadonlyMap<string, string>): Promise<void> {
  for (const { name, text } of stage.instructions) {
    if (name === 'COPY') {
      copy(text, folder, stages)
      own(folder)
    }
    if (name === 'RUN') {
      await run(...bare(commandOf(text)), { ...asNobody(folder), maxBuffer: 16 * 1024 * 1024 } as Parameters<
        typeof run
      >[2])
    }
  }
}

function makeReadOnly(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isSymbolicLink()) continue
    if (entry.isDirectory()) makeReadOnly(path)
    chmodSync(path, entry.isDirectory() ? 0o555 : 0o444)
  }
  chmodSync(folder, 0o555)
}

function makeWritable(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(folder, entry.name))
  }
}

async function isHealthy(stage: Stage, folder: string, port: number): Promise<boolean> {
  const check = find(stage, 'HEALTHCHECK')?.replace(/^.*?CMD\s+/, '') as string
  const options = asNobody(folder, { PORT: String(port) }) as Parameters<typeof run>[2]
  return run(...bare(commandOf(check)), options).then(
    () => true,
    () => false,
  )
}

t.test(
  'the Dockerfile, step by step in an empty folder as another user, makes a hub that starts and drains',
  async (t) => {
    const stages = readDockerfile(join(root, 'Dockerfile'))
    const folders = new Map<string, string>()
    const top = mkdtempSync(join(tmpdir(), 'potluck-image-'))
    chmodSync(top, 0o755)
    t.teardown(() => {
      makeWritable(top)
      rmSync(top, { recursive: true })
    })
    for (const stage of stages) {
      const folder = join(top, stage.name)
      mkdirSync(folder)
      folders.set(stage.name, folder)
      own(folder)
      await build(stage, folder, folders)
    }
    const image = stages.at(-1) as Stage
    const folder = folders.get(image.name) as string
    t.notOk(existsSync(join(folder, 'node_modules/tap')), 'what only development needs is not in it')
    t.notOk(existsSync(join(folder, 'src')), 'neither are the sources')
    t.match(find(image, 'USER'), /^[1-9]\d*(:\d+)?$/, 'the user is not root')
    makeReadOnly(folder)
    await startsAndDrains(t, image, folder)
  },
)

async function startsAndDrains(t: Test, image: Stage, folder: string): Promise<void> {
  const port = await ownPort()
  const command = [...commandOf(find(image, 'ENTRYPOINT') as string), ...commandOf(find(image, 'CMD') as string)]
  const env = { PORT: String(port), HOST: '127.0.0.1', NODE_ENV: 'production' }
  const hub = spawn(...bare(command), { ...asNobody(folder, env), stdio: 'inherit' })
  t.teardown(() => hub.kill('SIGKILL'))
  const deadline = Date.now() + 20_000
  while (!(await isHealthy(image, folder, port)) && Date.now() < deadline) await sleep(100)
  t.ok(await isHealthy(image, folder, port), 'HEALTHCHECK passes, on a read-only file system')
  const exited = once(hub, 'exit')
  hub.kill('SIGTERM')
  const [code] = await exited
  t.equal(code, 0, 'SIGTERM drains')
  t.notOk(await isHealthy(image, folder, port), 'HEALTHCHECK fails where no hub is')
}
