/**
 * Where a process spent its time, by package and by function, from a CPU profile of Node (`npm run bench -- --profile FOLDER`).
 *
 *   node bench/profile.ts FILE.cpuprofile [--count 40] [--from SECONDS]
 */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { REPOSITORY } from './paths.ts'

interface CallFrame {
  functionName: string
  url: string
  lineNumber: number
}

interface CpuProfile {
  nodes: { id: number; callFrame: CallFrame }[]
  samples: number[]
  timeDeltas: number[]
}

/** What the process does while there is nothing to do. */
const IDLE = new Set(['(idle)', '(root)'])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string', default: '40' }, from: { type: 'string', default: '0' } },
})
/** The start of a hub, and the time until its code is compiled, are no part of what a request costs. */
const fromUs = Number(values.from) * 1e6
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(positionals[0] ?? '', 'utf8')) as CpuProfile
const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))

function fileOf({ url }: CallFrame): string {
  return url.startsWith('file:') ? relative(REPOSITORY, fileURLToPath(url)) : url
}

function placeOf(frame: CallFrame): string {
  const file = fileOf(frame)
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
  return file === '' ? name : `${name} ${file}:${frame.lineNumber + 1}`
}

/** What has no file is the engine's, or the kernel's on its behalf. */
function packageOf(frame: CallFrame): string {
  const file = fileOf(frame)
  const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file) ?? []
  if (name !== undefined) return name
  if (file === '') return frame.functionName === '(garbage collector)' ? 'garbage collector' : 'engine and system calls'
  return /^(?:node|wasm):/.test(file) ? (file.split(/[:/]/)[0] ?? '') : file
}

function selfTimes(nameOf: (frame: CallFrame) => string): [name: string, us: number][] {
  const times = new Map<string, number>()
  let at = 0
  for (const [index, id] of samples.entries()) {
    const [us, frame] = [timeDeltas[index] ?? 0, frames.get(id)]
    at += us
    if (frame === undefined || at < fromUs || IDLE.has(frame.functionName)) continue
    times.set(nameOf(frame), (times.get(nameOf(frame)) ?? 0) + us)
  }
  return [...times].sort(([, left], [, right]) => right - left)
}

function print(title: string, times: readonly [string, number][]): void {
  const total = times.reduce((sum, [, us]) => sum + us, 0)
  console.log(`\n${title}`)
  for (const [name, us] of times.slice(0, Number(values.count))) {
    console.log(`${((100 * us) / total).toFixed(1).padStart(5)} %  ${(us / 1000).toFixed(0).padStart(6)} ms  ${name}`)
  }
}

print('self time by package or file of ours', selfTimes(packageOf))
print('self time by function', selfTimes(placeOf))
