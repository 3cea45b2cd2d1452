import { withoutImpliedTag } from '../../schemas/models.ts'
import type { Details, Running, Tag } from '../../schemas/ollama.ts'
import type { Surveyed } from './survey.ts'

/** What a hostile server says of itself must not flood everybody's lists. */
const MAX_TEXT = 200
const MAX_FAMILIES = 8

type Told = Record<string, unknown>

function textAt(told: Told, key: string): string {
  const value = told[key]
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : ''
}

/** Ollama's clients read whole numbers of 64 bits; one that they can't read would cost them the whole list. */
function numberAt(told: Told, key: string): number {
  const value = told[key]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 0
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

/** So do they with times. */
function timeAt(told: Told, key: string, otherwise: string): string {
  const text = textAt(told, key)
  const ms = RFC_3339.test(text) ? Date.parse(text) : Number.NaN
  const time = Number.isNaN(ms) ? '' : new Date(ms).toISOString()
  // At the edges of the calendar a time zone makes years of more digits.
  return RFC_3339.test(time) ? time : otherwise
}

function detailsOf(told: Told): Details {
  const details = isObject(told.details) ? told.details : {}
  const families = Array.isArray(details.families) ? details.families : []
  return {
    parent_model: textAt(details, 'parent_model'),
    format: textAt(details, 'format'),
    family: textAt(details, 'family'),
    families: families
      .filter((family) => typeof family === 'string')
      .slice(0, MAX_FAMILIES)
      .map((family) => family.slice(0, MAX_TEXT)),
    parameter_size: textAt(details, 'parameter_size'),
    quantization_level: textAt(details, 'quantization_level'),
  }
}

function isObject(value: unknown): value is Told {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const KEPT = ['name', 'model', 'digest', 'modified_at', 'expires_at'] as const
const KEPT_NUMBERS = ['size', 'size_vram', 'context_length'] as const

/** Of an answer what the lists are made of, of models on offer alone: the rest would only be kept. */
export function keepOffered({ models, version }: Told, offered: readonly string[]): Told {
  const names = new Set(offered.map(withoutImpliedTag))
  const kept = (Array.isArray(models) ? models.filter(isObject) : [])
    .filter((told) => names.has(withoutImpliedTag(textAt(told, 'name') || textAt(told, 'model'))))
    .slice(0, names.size)
    .map((told) => ({
      ...Object.fromEntries(KEPT.map((key) => [key, textAt(told, key)])),
      ...Object.fromEntries(KEPT_NUMBERS.map((key) => [key, numberAt(told, key)])),
      details: detailsOf(told),
    }))
  // A copy: a piece of a long text would keep all of it in memory.
  return JSON.parse(JSON.stringify({ models: kept, version: textAt({ version }, 'version') })) as Told
}

/** What a server tells of its models, by their bare names. */
function toldBy({ answer }: Surveyed): Map<string, Told> {
  const models = Array.isArray(answer?.models) ? answer.models.filter(isObject) : []
  return new Map(models.map((told) => [withoutImpliedTag(textAt(told, 'name') || textAt(told, 'model')), told]))
}

/** Each model on offer once, as the first participant that knows more than its name tells it. */
export function mergeTags(surveyed: readonly Surveyed[]): Tag[] {
  const tags = new Map<string, { tag: Tag; isTold: boolean }>()
  for (const one of surveyed) {
    const told = toldBy(one)
    const { id, models, joinedAt } = one.record.participant
    for (const name of models) {
      const own = told.get(withoutImpliedTag(name))
      const known = tags.get(name)
      known?.tag.potluck.participants.push(id)
      if (known !== undefined && (known.isTold || own === undefined)) continue
      const participants = known?.tag.potluck.participants ?? [id]
      tags.set(name, { tag: tagOf(name, own ?? {}, joinedAt, participants), isTold: own !== undefined })
    }
  }
  return Array.from(tags.values(), ({ tag }) => tag)
}

function tagOf(name: string, told: Told, joinedAt: number, participants: string[]): Tag {
  return {
    name,
    model: name,
    modified_at: timeAt(told, 'modified_at', new Date(joinedAt).toISOString()),
    size: numberAt(told, 'size'),
    digest: textAt(told, 'digest'),
    details: detailsOf(told),
    potluck: { participants },
  }
}

/** What is loaded, participant by participant; what is not on offer in the room is nobody's business. */
export function mergeRunning(surveyed: readonly Surveyed[]): Running[] {
  return surveyed.flatMap((one) => {
    const told = toldBy(one)
    const { id, models } = one.record.participant
    return models.flatMap((name) => {
      const own = told.get(withoutImpliedTag(name))
      return own === undefined ? [] : [runningOf(name, own, id)]
    })
  })
}

/** Go's time for none. */
const NEVER_TOLD = '0001-01-01T00:00:00Z'

function runningOf(name: string, told: Told, id: string): Running {
  const context = numberAt(told, 'context_length')
  return {
    name,
    model: name,
    size: numberAt(told, 'size'),
    digest: textAt(told, 'digest'),
    details: detailsOf(told),
    expires_at: timeAt(told, 'expires_at', NEVER_TOLD),
    size_vram: numberAt(told, 'size_vram'),
    ...(context > 0 ? { context_length: context } : {}),
    potluck: { participants: [id] },
  }
}

const NO_VERSION = '0.0.0'
const VERSION = /^\d{1,6}\.\d{1,6}\.\d{1,6}(?:[-+][\w.+-]{1,50})?$/

/** The oldest one, since a client must not expect more than everybody can. */
export function oldestVersion(surveyed: readonly Surveyed[]): string {
  const versions = surveyed.flatMap(({ answer }) => {
    const version = answer === undefined ? '' : textAt(answer, 'version')
    return VERSION.test(version) ? [version] : []
  })
  return versions.toSorted(compareVersions)[0] ?? NO_VERSION
}

function compareVersions(one: string, other: string): number {
  const [left, right] = [one, other].map((version) => version.split(/[.+-]/).slice(0, 3).map(Number)) as [
    number[],
    number[],
  ]
  const at = left.findIndex((part, index) => part !== right[index])
  return at === -1 ? 0 : (left[at] ?? 0) - (right[at] ?? 0)
}
