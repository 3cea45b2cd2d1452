import t, { type Test } from 'tap'
import { answerPlain, startFakeLlm } from '../support/fake-llm.ts'
import { call, join, openRoom, startHub } from '../support/hub.ts'
import { checkOf } from '../support/json-schema.ts'
import { type DescribedOperation, type MediaType, type OpenApi, operationsOf } from '../support/openapi.ts'

interface Example {
  described: DescribedOperation
  media: MediaType
  body: unknown
}

async function readDescription(t: Test): Promise<OpenApi> {
  const { url } = await startHub(t)
  return (await call<OpenApi>('GET', `${url}/openapi.json`)).body
}

function examplesOf(document: OpenApi): Example[] {
  return operationsOf(document).flatMap((described) => {
    const media = described.operation.requestBody?.content['application/json']
    if (media === undefined) return []
    const several = Object.values(media.examples ?? {}).map(({ value }) => value)
    const bodies = media.example === undefined ? several : [media.example, ...several]
    return bodies.map((body) => ({ described, media, body }))
  })
}

/** The path with its parameters' own examples in place. */
function pathOf({ path, operation }: DescribedOperation): string {
  return (operation.parameters ?? []).reduce(
    (filled, { name, example }) => filled.replace(`{${name}}`, String(example)),
    path,
  )
}

/** A hub where what the examples name is there: the room K7QX2M, in it alice-laptop with its model. */
async function startExampleHub(t: Test): Promise<{ url: string; tokens: (string | undefined)[] }> {
  const [{ url }, llm] = [await startHub(t), await startFakeLlm(t, answerPlain('Soy sauce'))]
  const { hostToken } = await openRoom(url, { name: 'Friday hackathon', code: 'K7QX2M' })
  const alice = { id: 'alice-laptop', nickname: 'Alice', model: 'llama3.2:3b', endpoint: llm.url, manage: true }
  const { token } = await join(url, 'K7QX2M', alice)
  return { url, tokens: [undefined, token, hostToken] }
}

type ExampleHub = Awaited<ReturnType<typeof startExampleHub>>

/** The first status that is a success, by whoever may; else the last one. @param shared for those that change nothing */
async function tryAs(t: Test, { described, body }: Example, shared: ExampleHub): Promise<number> {
  let last = 0
  // Where nobody in particular may, somebody with a token does.
  for (const [index] of [undefined, 'participant', 'host'].entries()) {
    const isHarmless = described.operation.tags.includes('Inference')
    const { url, tokens } = isHarmless ? shared : await startExampleHub(t)
    const token = tokens[index]
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const { status } = await call(described.method, `${url}${pathOf(described)}`, asSent(body), headers)
    if (status < 300) return status
    last = status
  }
  return last
}

/** A stream is no JSON: asked for in the example, it is read in other tests. */
function asSent(body: unknown): unknown {
  const { stream: _, ...rest } = body as Record<string, unknown>
  return rest
}

t.test('every operation with a body has an example of one', async (t) => {
  const document = await readDescription(t)
  // A form is a file above all: there is none to show.
  const hasJson = ({ operation }: DescribedOperation) =>
    operation.requestBody?.content['application/json'] !== undefined
  const withBody = operationsOf(document).filter(hasJson)
  const withExample = new Set(examplesOf(document).map(({ described }) => described.operation.operationId))
  t.same(
    withBody.map(({ operation }) => operation.operationId).filter((id) => !withExample.has(id)),
    [],
  )
})

t.test('every example is valid by the schema that it stands for', async (t) => {
  for (const { described, media, body } of examplesOf(await readDescription(t)))
    t.same(checkOf(media.schema)(body), [], described.operation.operationId)
})

t.test('every example works when it is sent to a hub', async (t) => {
  const shared = await startExampleHub(t)
  for (const example of examplesOf(await readDescription(t))) {
    const { operationId, responses } = example.described.operation
    const success = Object.keys(responses).find((status) => status.startsWith('2'))
    t.equal(String(await tryAs(t, example, shared)), success, `${operationId} ${JSON.stringify(example.body)}`)
  }
})

t.test('every parameter of a path has an example, and it is one that the hub takes', async (t) => {
  for (const described of operationsOf(await readDescription(t))) {
    const { operationId, parameters = [] } = described.operation
    for (const { name, example, schema } of parameters.filter((parameter) => parameter.in === 'path')) {
      t.ok(typeof example === 'string' && checkOf(schema)(example).length === 0, `${operationId} ${name}`)
    }
  }
})
