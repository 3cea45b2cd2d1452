import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest, FastifySchema } from 'fastify'
import type { Hold } from '../../plugins/ollama-proxy/held-bytes.ts'
import type { Endpoint, Protocol } from '../../plugins/ollama-proxy/protocols/protocol.ts'
import type { Upload } from '../../plugins/ollama-proxy/upload.ts'
import { InferenceParams, inferenceBody, inferenceErrors, PassedOn, PassedThrough } from '../../schemas/inference.ts'
import { RoomParams } from '../../schemas/room.ts'
import { type Holding, holdBody } from '../held-body.ts'
import { ignoreContentType } from '../json-body.ts'
import api from './api/index.ts'
import models from './v1/models.ts'

/** What differs between the routes of a room and their like at the root. */
export interface InferenceRoute {
  /** Of the schema: at the root no room is in the path. */
  readonly params: { params?: typeof RoomParams }
  /** At the root everything is as it is described for a room. */
  readonly hide: boolean
}

export interface InferenceOptions {
  /** Bytes. */
  bodyLimit: number
  isAtRoot?: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** As the client sent it, where the body is passed on as it comes. */
    sentContentType: string | undefined
    hold: Hold
  }
}

/** What the room's clients speak: each API passes through by one and the same route, and the lists are the hub's own. */
const inference: FastifyPluginAsync<InferenceOptions> = async (app, { bodyLimit, isAtRoot = false }) => {
  app.addHook('onRequest', countHeld)
  const route: InferenceRoute = { params: isAtRoot ? {} : { params: RoomParams }, hide: isAtRoot }
  await app.register(async (scope) => {
    readBytes(scope, bodyLimit)
    passAll(scope, route, { isHeld: true, bodyLimit })
    await scope.register(models, route)
    await scope.register(api, route)
  })
  await app.register(async (scope) => {
    readAsItComes(scope)
    passAll(scope, route, { isHeld: false, bodyLimit })
  })
}

/** Inference bodies are bytes: they are looked into, never parsed whole. */
function readBytes(app: FastifyInstance, bodyLimit: number): void {
  app.removeAllContentTypeParsers()
  ignoreContentType(app)
  app.addContentTypeParser('*', (request, payload, done) => holdBody(payload, holdingOf(request, bodyLimit), done))
}

/** What a request holds is held until its answer has ended, or nobody waits for that any more. */
function countHeld(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const { heldBytes } = request.server.ollamaProxy
  request.hold = heldBytes.hold(request.server.access.networkOf(request))
  reply.raw.on('close', request.hold.release)
  done()
}

function holdingOf({ raw, hold }: FastifyRequest, limit: number): Holding {
  return { contentLength: raw.headers['content-length'], limit, hold }
}

function readAsItComes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('finish', () => discard(request))
    request.sentContentType = request.raw.headers['content-type']
    // Fastify refuses a content type that is none before any parser is asked.
    request.raw.headers['content-type'] = 'application/octet-stream'
    done()
  })
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
}

/**
 * Lets go by what nobody reads any more, since the answer came early or was a refusal: clients that send on would wait for ever,
 * and the next request on the connection with them.
 */
function discard({ raw }: FastifyRequest): void {
  // Somebody who still waits for more keeps a stream from flowing.
  raw.removeAllListeners('readable').resume()
}

/** The hub looks into the bytes where it must; whether they make sense is the participant's to say. */
const takeAsIs = () => () => true

/** The schemas of answers describe them; what the hub itself answers here is an error. A serializer for each would be megabytes. */
const writeAsIs = () => (answer: unknown) => JSON.stringify(answer)

interface Bodies {
  /** Whether they are there as a whole before anything is done with them. */
  isHeld: boolean
  /** Bytes. */
  bodyLimit: number
}

function passAll(app: FastifyInstance, route: InferenceRoute, bodies: Bodies): void {
  for (const protocol of app.ollamaProxy.protocols) {
    for (const endpoint of protocol.endpoints) {
      if ((endpoint.body !== 'any') === bodies.isHeld) pass(app, protocol, endpoint, route, bodies)
    }
  }
}

const NOTHING = { inputTokens: 0, outputTokens: 0 }
const NO_BODY = Buffer.alloc(0)

function pass(
  app: FastifyInstance,
  protocol: Protocol,
  endpoint: Endpoint,
  route: InferenceRoute,
  { isHeld, bodyLimit }: Bodies,
): void {
  app.route({
    bodyLimit,
    method: endpoint.method,
    url: endpoint.path,
    schema: schemaOf(protocol, endpoint, route),
    exposeHeadRoute: false,
    validatorCompiler: takeAsIs,
    serializerCompiler: writeAsIs,
    config: { operation: endpoint.manages === true ? 'manageModels' : 'infer', isForeign: true },
    handler: async (request, reply) => {
      const { key } = request.identity
      const charged = endpoint.isQuiet === true ? undefined : key
      if (charged !== undefined) app.access.budgets.begin(charged)
      const { id } = request.params as { id?: string }
      await app.ollamaProxy.forward({
        room: request.room,
        ...app.access.askerOf(request),
        protocol,
        endpoint,
        ...(id === undefined ? {} : { targetId: id }),
        search: searchOf(request.url, endpoint),
        body: isHeld ? bytesOf(request) : await bodyOf(request, bodyLimit),
        headers: request.headers,
        requestId: request.id,
        response: reply.raw,
        replyHeaders: reply.getHeaders() as Record<string, string>,
        onTakeOver: () => reply.hijack(),
        onRefused: (headers) => void reply.headers(headers as Record<string, string>),
        onServed: (served) => {
          request.served = served
          if (charged !== undefined) app.access.budgets.charge(charged.id, served.usage() ?? NOTHING)
        },
      })
      return reply
    },
  })
}

function schemaOf(protocol: Protocol, endpoint: Endpoint, { params, hide }: InferenceRoute): FastifySchema {
  const { operationId, summary, path, examples, body, goesToMaker, manages } = endpoint
  const made = goesToMaker === true ? InferenceParams : RoomParams
  const failures = inferenceErrors(protocol.errorShape, 400, 404, 413, 429, 502, 503, 508)
  const refusal = manages === true ? inferenceErrors(protocol.errorShape, 403) : {}
  return {
    tags: ['Inference'],
    operationId,
    summary,
    hide,
    ...(params.params === undefined ? {} : { params: made }),
    ...(body === 'none' ? {} : { body: inferenceBody(path, body, examples) }),
    response: { 200: PassedThrough, ...failures, ...refusal, default: PassedOn },
  } as FastifySchema
}

/** Of the query what the API knows, as the client wrote it. */
function searchOf(url: string, { query = [] }: Endpoint): string {
  const at = url.indexOf('?')
  if (at === -1 || query.length === 0) return ''
  const kept = url
    .slice(at + 1)
    .split('&')
    .filter((pair) => query.includes(decoded(pair.split('=', 1)[0] ?? '')))
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return (body as Buffer | undefined) ?? NO_BODY
}

/** `curl -d` calls what it sends a form; whoever says nothing means JSON, too. */
const JSON_TYPES = /^\s*(?:application\/(?:json|x-www-form-urlencoded)\b.*)?$/i

async function bodyOf(request: FastifyRequest, limit: number): Promise<Buffer | Upload> {
  const { body, raw, sentContentType = '' } = request
  if (body === undefined) return NO_BODY
  if (JSON_TYPES.test(sentContentType)) return readHeld(raw, holdingOf(request, limit))
  const length = raw.headers['content-length']
  return {
    stream: raw,
    contentType: sentContentType,
    ...(length === undefined ? {} : { contentLength: Number(length) }),
  }
}

function readHeld(stream: FastifyRequest['raw'], holding: Holding): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    holdBody(stream, holding, (error, body) => {
      if (error === null) resolve(body as Buffer)
      else reject(error)
    })
  })
}

export default inference
