import { createRequire } from 'node:module'

/** A JSON Schema as it stands in a document. */
export type JsonSchema = Record<string, unknown>

/** What is wrong with a value: nothing, where the list is empty. */
export type Check = (value: unknown) => string[]

interface Ajv {
  compile(schema: JsonSchema): {
    (value: unknown): boolean
    errors?: { instancePath: string; message?: string; params: object }[] | null
  }
}

/** Fastify brings this validator with it; draft 2020-12 is what OpenAPI 3.1 means by a schema. */
const ofFastify = createRequire(createRequire(import.meta.url).resolve('fastify'))
const { Ajv2020 } = createRequire(ofFastify.resolve('@fastify/ajv-compiler'))('ajv/dist/2020') as {
  Ajv2020: new (options: object) => Ajv
}

const ajv = new Ajv2020({ strict: false, allErrors: true })
const compiled = new Map<string, Check>()

/** The same schema is compiled once a process, whatever document it stands in. */
export function checkOf(schema: JsonSchema): Check {
  const key = JSON.stringify(schema)
  const known = compiled.get(key)
  if (known !== undefined) return known
  const check = compile(schema)
  compiled.set(key, check)
  return check
}

function compile(schema: JsonSchema): Check {
  const validate = ajv.compile(schema)
  return (value) => {
    if (validate(value)) return []
    return (validate.errors ?? []).map(({ instancePath, message = 'is wrong' }) => `${instancePath || 'it'} ${message}`)
  }
}
