import { cpus, totalmem } from 'node:os'
import { LIMITS } from '../../../schemas/limits.ts'
import type { Specs } from '../../../schemas/participant.ts'

const BYTES_PER_GB = 1024 ** 3
const MB_PER_GB = 1024

/** It asks programs of the system (`nvidia-smi`, `lspci`, `system_profiler`), which may hang. */
const GRAPHICS_TIMEOUT_MS = 20_000

/** What this machine is made of. Never fails: what can't be found out is left out. */
export async function readSpecs(): Promise<Specs> {
  const cpu = nameOf(cpus()[0]?.model)
  const ram = Math.round(totalmem() / BYTES_PER_GB)
  return { ...(cpu === undefined ? {} : { cpu }), ram, ...(await readGraphics()) }
}

interface Controller {
  model?: string | null
  name?: string | null
  vram?: number | null
  memoryTotal?: number | null
}

async function readGraphics(): Promise<Specs> {
  try {
    const { graphics } = await import('systeminformation')
    const { promise: late, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(resolve, GRAPHICS_TIMEOUT_MS, undefined).unref()
    const found = await Promise.race([graphics(), late])
    clearTimeout(timer)
    return describe(found?.controllers ?? [])
  } catch {
    return {}
  }
}

/** Of several graphics cards the one with the most memory: that is where a model runs. */
function describe(controllers: readonly Controller[]): Specs {
  const megabytes = (each: Controller) => each.memoryTotal ?? each.vram ?? 0
  const [best] = controllers.toSorted((one, other) => megabytes(other) - megabytes(one))
  if (best === undefined) return {}
  const gpu = nameOf(best.name ?? best.model)
  const vram = Math.round((megabytes(best) / MB_PER_GB) * 10) / 10
  return { ...(gpu === undefined ? {} : { gpu }), ...(vram > 0 ? { vram } : {}) }
}

function nameOf(text: string | null | undefined): string | undefined {
  const name = (text ?? '')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/gu, '')
    .trim()
    .slice(0, LIMITS.hardwareName)
  return name === '' || name === 'unknown' ? undefined : name
}
