import type { FastifyInstance } from 'fastify'

/**
 * The base routes read JSON whatever the content type says, and take an empty body as none: the reference's SDK sends a
 * JSON content type with every request, DELETE included, and `curl -d` says that it sends a form.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  ignoreContentType(app)
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else parseJson(request, body as string, done)
  })
}

/** Fastify refuses a content type that is none (`json`, empty) before any parser is asked. */
export function ignoreContentType(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    request.raw.headers['content-type'] = 'application/json'
    done()
  })
}
