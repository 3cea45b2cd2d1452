/**
 * Writes docs/api.md from the hub's own description of its API, operation by operation.
 *
 *   node docs/api.ts [--check] [FILE]   --check writes nothing and fails where the page is stale
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createHub } from '../src/hub.ts'
import type { JsonSchema } from '../test/support/json-schema.ts'
import {
  type Answer,
  type DescribedOperation,
  type MediaType,
  type OpenApi,
  type Operation,
  operationsOf,
} from '../test/support/openapi.ts'

const PAGE = fileURLToPath(new URL('api.md', import.meta.url))
const HUB = 'http://localhost:3000'

const PREFACE = `# The API

\`docs/api.ts\` wrote this from the description that a running hub gives at \`/openapi.json\` (for people: \`/docs\`).`

async function readDescription(): Promise<OpenApi> {
  const hub = createHub()
  await hub.ready()
  const document = (await hub.app).swagger() as unknown as OpenApi
  await hub.close()
  return document
}

// --- schemas, in words

/** Of a field that may be \`null\`, what it is otherwise. */
function withoutNull(schema: JsonSchema): { schema: JsonSchema; isNullable: boolean } {
  const ways = schema.anyOf as JsonSchema[] | undefined
  const others = ways?.filter(({ type }) => type !== 'null') ?? []
  const isNullable = ways !== undefined && others.length < ways.length
  if (!isNullable || others.length !== 1) return { schema, isNullable }
  const description = schema.description === undefined ? {} : { description: schema.description }
  return { schema: { ...others[0], ...description }, isNullable }
}

function bounds({ minimum, maximum, maxLength, minItems, maxItems }: JsonSchema): string {
  const least = minimum ?? minItems
  const most = maximum ?? maxItems
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`
  if (least !== undefined) return `, at least ${least}`
  if (most !== undefined) return `, at most ${most}`
  return maxLength === undefined ? '' : ` of at most ${maxLength} characters`
}

/** What a value must be, as the hub's own errors say it where they do. */
function kindOf(schema: JsonSchema): string {
  if (typeof schema['x-expects'] === 'string') return schema['x-expects']
  const values = valuesOf(schema)
  if (values !== undefined) return values.map((value) => `\`${JSON.stringify(value)}\``).join(' or ')
  if (schema.type === 'array') return `a list of ${plural(schema.items as JsonSchema)}${bounds(schema)}`
  return `${TYPES[String(schema.type)] ?? 'anything'}${bounds(schema)}`
}

const TYPES: Record<string, string> = {
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: '`true` or `false`',
  object: 'an object',
}

function plural({ type }: JsonSchema): string {
  return type === undefined ? 'anything' : `${type}s`
}

/** The only ones that it may have, where they are told. */
function valuesOf({ enum: values, anyOf }: JsonSchema): unknown[] | undefined {
  if (Array.isArray(values)) return values
  const each = (anyOf as JsonSchema[] | undefined)?.map(valuesOf)
  return each?.every((found) => found !== undefined) ? each.flat() : undefined
}

function sentence(text: unknown): string {
  return typeof text === 'string' && text !== '' ? `. ${text}` : ''
}

/** One line a field; those of an object within it follow, with its name before theirs. */
function fieldLines(schema: JsonSchema, prefix = ''): string[] {
  const required = new Set((schema.required as string[] | undefined) ?? [])
  return Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).flatMap(([name, given]) => {
    const { schema: field, isNullable } = withoutNull(given)
    const notes = [required.has(name) ? 'required' : undefined, isNullable ? 'or `null`' : undefined].filter(Boolean)
    const note = notes.length === 0 ? '' : ` (${notes.join(', ')})`
    const line = `- \`${prefix}${name}\`${note}: ${kindOf(field)}${sentence(field.description)}`
    return [line, ...(field.type === 'object' ? fieldLines(field, `${prefix}${name}.`) : [])]
  })
}

/** The fields of a value, without what they are: `{room: {id, code}, hostToken}`; `?` where one may be absent. */
function shapeOf(schema: JsonSchema): string {
  if (schema.type === 'array') return `[${shapeOf(schema.items as JsonSchema)}, …]`
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>)
  if (properties.length === 0) return '…'
  const required = new Set(schema.required as string[] | undefined)
  const fields = properties.map(([name, field]) => {
    const key = required.has(name) ? name : `${name}?`
    const inner = field.type === 'object' || field.type === 'array' ? shapeOf(field) : '…'
    return inner === '…' || inner === '[…, …]' ? key : `${key}: ${inner}`
  })
  return `{${fields.join(', ')}}`
}

// --- parts of an operation

/** Who may where there is a way in without a credential, by the credential that the other way asks for. */
const OPEN: Record<string, string> = {
  room: 'anybody in an open room; in a room with a password whoever shows that, a personal key, or the token of the host or of a participant',
  admin: 'anybody; where the hub has an admin token, whoever shows that',
  participant:
    'the participant itself, by the token that its join returned; or from the address that it joined from, as long as it never used its token',
}

/** Each way in is enough; one that asks for nothing is open to anybody. */
function whoMay({ security = [{}] }: Operation, { components }: OpenApi): string {
  const isOpen = security.some((way) => Object.keys(way).length === 0)
  const names = security.flatMap((way) => Object.keys(way))
  if (isOpen) return names.map((name) => OPEN[name] ?? 'anybody').join('; or ') || 'anybody'
  return `whoever shows ${names.map((name) => lower(components.securitySchemes[name]?.description ?? name)).join(', or ')}`
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

function parameterLines({ parameters = [] }: Operation): string[] {
  return parameters.map(({ name, in: place, required, schema, description }) => {
    const kind = place === 'path' ? '' : `: ${kindOf(schema)}`
    return `- \`${name}\` (${place}${required === true ? ', required' : ''})${kind}${kind === '' ? ': ' : '. '}${description ?? ''}`
  })
}

function bodyLines({ requestBody }: Operation): string[] {
  const [media] = Object.values(requestBody?.content ?? {})
  if (media === undefined) return []
  const others = media.schema.additionalProperties === false ? 'No other field is taken.' : 'Other fields are ignored.'
  const isPassedOn = media.schema.additionalProperties === true
  const types = Object.keys(requestBody?.content ?? {}).filter((type) => type !== 'application/json')
  const forms = types.length === 0 ? [] : [`As \`${types.join('`, `')}\`.`, '']
  return [...forms, ...fieldLines(media.schema), '', isPassedOn ? 'Other fields go on as they are.' : others]
}

function answerLine([status, answer]: [string, Answer]): string {
  const name = status === 'default' ? 'any other' : `**${status}**`
  return `- ${name}: ${answer.description}${contentOf(status, answer)}`
}

/** Of a success its fields; of a failure nothing, since they all look the same. */
function contentOf(status: string, { content = {} }: Answer): string {
  if (!status.startsWith('2')) return ''
  const shapes = Object.entries(content).map(([type, { schema }]) => {
    const shape = type === 'application/json' ? shapeOf(schema) : '…'
    return shape === '…' ? `\`${type}\`` : `\`${shape}\``
  })
  return `: ${shapes.join(' or ')}`
}

function headerLines({ responses }: Operation): string[] {
  const headers = Object.entries(responses).find(([status]) => status.startsWith('2'))?.[1].headers ?? {}
  return Object.entries(headers).map(([name, { description }]) => `- \`${name}\`: ${description}`)
}

function eventLines({ responses }: Operation): string[] {
  const stream = responses[200]?.content?.['text/event-stream']
  const events = (stream?.schema['x-events'] ?? {}) as Record<string, JsonSchema>
  return Object.entries(events).map(([name, data]) => `- \`${name}\`: \`${shapeOf(data)}\``)
}

function exampleOf({ example, examples }: MediaType): unknown {
  return example ?? Object.values(examples ?? {})[0]?.value
}

/** In single quotes, as a shell takes it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function curlLine({ method, path, operation }: DescribedOperation): string {
  const media = operation.requestBody?.content['application/json']
  const url = (operation.parameters ?? []).reduce(
    (filled, { name, example }) => filled.replace(`{${name}}`, String(example ?? name.toUpperCase())),
    `${HUB}${path}`,
  )
  const isStream = operation.responses[200]?.content?.['text/event-stream'] !== undefined
  const needsCredential = operation.security?.every((way) => Object.keys(way).length > 0) ?? false
  const words = [`curl -s${isStream ? 'N' : ''}`]
  const isForm = media === undefined && operation.requestBody !== undefined
  if (method !== 'GET' && !(method === 'POST' && operation.requestBody !== undefined)) words.push(`-X ${method}`)
  words.push(url)
  if (needsCredential) words.push(`-H 'authorization: Bearer TOKEN'`)
  if (media !== undefined)
    words.push(`-H 'content-type: application/json' \\\n  -d ${quoted(JSON.stringify(exampleOf(media)))}`)
  if (isForm) words.push(`\\\n  -F model='*' -F file=@dinner.wav`)
  return words.join(' ')
}

// --- the page

/** A heading in bold and what stands under it; nothing where that is nothing. */
function part(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:\n\n${lines.join('\n')}`]
}

function operationSection(document: OpenApi, described: DescribedOperation): string {
  const { method, path, operation } = described
  return [
    `### ${method} ${path}`,
    `${operation.summary}.${operation.description === undefined ? '' : ` ${operation.description.replaceAll('\n', ' ')}`}`,
    `Who may: ${whoMay(operation, document)}.`,
    ...part('Parameters', parameterLines(operation)),
    ...part('Body', bodyLines(operation)),
    ...part('Answers', Object.entries(operation.responses).map(answerLine)),
    ...part('Headers of the answer', headerLines(operation)),
    ...part('Events', eventLines(operation)),
    `\`\`\`sh\n${curlLine(described)}\n\`\`\``,
  ].join('\n\n')
}

function tagSection(document: OpenApi, { name, description }: { name: string; description: string }): string {
  const operations = operationsOf(document).filter(({ operation }) => operation.tags.includes(name))
  const sections = operations.map((described) => operationSection(document, described))
  return [`## ${name}`, `${description}.`, ...sections].join('\n\n')
}

const FAILURES = `## Failures

All have the body \`{error}\`, one sentence that says what to do, as Ollama's clients parse it, too; below \`/v1\` it is
\`{error: {message, type, param, code}}\` as OpenAI's clients parse it, below \`/v1/messages\` \`{type: "error", error: {type, message}}\`
as Anthropic's do. A route that is not served is 404, whatever the method.`

/** As GitHub makes an anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

function contents(document: OpenApi): string {
  const ordered = document.tags.flatMap(({ name }) =>
    operationsOf(document).filter(({ operation }) => operation.tags.includes(name)),
  )
  return ordered
    .map(
      ({ method, path, operation }) => `- [${method} ${path}](#${anchorOf(`${method} ${path}`)}): ${operation.summary}`,
    )
    .join('\n')
}

function pageOf(document: OpenApi): string {
  const tags = document.tags.map((tag) => tagSection(document, tag))
  const about = document.info.description.replaceAll('\n', ' ')
  return `${[PREFACE, about, contents(document), FAILURES, ...tags].join('\n\n')}\n`
}

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [file = PAGE] = positionals
const fresh = pageOf(await readDescription())
if (!values.check) writeFileSync(file, fresh)
else if (fresh !== readFileSync(file, 'utf8')) {
  console.error(`${file}: the reference is stale; run \`node docs/api.ts\` to write it anew`)
  process.exitCode = 1
}
