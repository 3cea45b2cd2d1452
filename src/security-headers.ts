import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import helmet, { type HelmetOptions } from 'helmet'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its answers are strangers', and have a policy of their own. */
    isForeign?: boolean
  }
}

export interface SecurityHeadersOptions {
  /** Browsers may be told to come by HTTPS alone from now on. */
  isTrusted: boolean
}

const YEAR_S = 365 * 24 * 3600

/** Helmet's defaults, less what breaks plain HTTP on a LAN, and what would keep other origins' pages from the API. */
function optionsFor({ isTrusted }: SecurityHeadersOptions): HelmetOptions {
  return {
    contentSecurityPolicy: {
      directives: {
        'upgrade-insecure-requests': null,
        'script-src-attr': null,
        // The pages bring all that they need from the hub itself.
        'font-src': ["'self'", 'data:'],
        'style-src': ["'self'", "'unsafe-inline'"],
      },
    },
    strictTransportSecurity: isTrusted ? { maxAge: YEAR_S } : false,
    crossOriginResourcePolicy: { policy: 'cross-origin' },
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
  }
}

/** What Helmet sets, once: it is the same for each answer, and to find it out each time costs more than all the rest. */
function headersOf(options: HelmetOptions): Record<string, string> {
  const headers: Record<string, string> = {}
  const response = {
    setHeader(name: string, value: string): void {
      headers[name.toLowerCase()] = value
    },
    removeHeader(name: string): void {
      delete headers[name.toLowerCase()]
    },
  }
  helmet(options)({} as IncomingMessage, response as unknown as ServerResponse, (error) => {
    if (error !== undefined) throw error
  })
  return headers
}

/** Headers that keep browsers from harm, on all answers that are the hub's own. */
export function addSecurityHeaders(app: FastifyInstance, options: SecurityHeadersOptions): void {
  const headers = headersOf(optionsFor(options))
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config?.isForeign !== true) reply.headers(headers)
    done()
  })
}
