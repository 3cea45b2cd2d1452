import { isIP } from 'node:net'

/** One setting: how it is read, what it may be, and what it is for. The README's table is made from these. */
interface Setting<T> {
  /** Name of the environment variable. */
  readonly env: string
  /** Name of the flag, without `--`. */
  readonly flag: string
  readonly default: T
  /** The default as a person writes it, where that differs. */
  readonly shownDefault?: string
  /** What is allowed, as the end of "… must be". */
  readonly allowed: string
  readonly description: string
  /** @returns undefined where the text is not allowed. */
  read(text: string): T | undefined
}

type Named = Pick<Setting<unknown>, 'env' | 'description'>

/** `POTLUCK_ROOM_TTL` → `room-ttl`. */
function flagOf(env: string): string {
  return env
    .replace(/^POTLUCK_/, '')
    .toLowerCase()
    .replaceAll('_', '-')
}

function integer(named: Named, fallback: number, minimum: number, maximum: number): Setting<number> {
  return {
    ...named,
    flag: flagOf(named.env),
    default: fallback,
    allowed: `a whole number from ${minimum} to ${maximum}`,
    read(text) {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      return value >= minimum && value <= maximum ? value : undefined
    },
  }
}

function oneOf<T extends string>(named: Named, fallback: T, values: readonly T[]): Setting<T> {
  return {
    ...named,
    flag: flagOf(named.env),
    default: fallback,
    allowed: `one of ${values.join(', ')}`,
    read: (text) => values.find((value) => value === text),
  }
}

function boolean(named: Named, fallback: boolean, values: readonly boolean[] = [true, false]): Setting<boolean> {
  return {
    ...named,
    flag: flagOf(named.env),
    default: fallback,
    allowed: values.join(' or '),
    read: (text) => values.find((value) => String(value) === text),
  }
}

function text(named: Named, fallback: string, pattern: RegExp, allowed: string): Setting<string> {
  return {
    ...named,
    flag: flagOf(named.env),
    default: fallback,
    allowed,
    read: (value) => (pattern.test(value) ? value : undefined),
  }
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** @param fallback like `7d` */
function duration(named: Named, fallback: string): Setting<number> {
  const read = (value: string): number | undefined => {
    const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(value) ?? /^(\d{1,13})()$/.exec(value) ?? []
    const ms = Number(count) * (UNITS_MS[unit ?? ''] ?? 1)
    return ms > 0 ? ms : undefined
  }
  return {
    ...named,
    flag: flagOf(named.env),
    default: read(fallback) as number,
    shownDefault: fallback,
    allowed: 'a time like 90s, 30m, 12h or 7d (or a whole number of ms), not 0',
    read,
  }
}

/** Empty: none. */
function path(named: Named): Setting<string> {
  return text(named, '', /^[^\0]*$/, 'a path')
}

function addresses(named: Named): Setting<readonly string[]> {
  return {
    ...named,
    flag: flagOf(named.env),
    default: [],
    allowed: 'IP addresses or networks like 10.0.0.0/8 (not all addresses, /0), separated by commas',
    read(value) {
      const entries = value
        .split(',')
        .map((entry) => entry.trim())
        .filter((entry) => entry !== '')
      return entries.every(isNetwork) ? entries : undefined
    },
  }
}

function isNetwork(entry: string): boolean {
  const [, address = '', prefix] = /^([\da-f.:]+)(?:\/([1-9]\d{0,2}))?$/i.exec(entry) ?? []
  const family = isIP(address)
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 4 ? 32 : 128))
}

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const MIB = 1024 * 1024

/** In the order in which the README shows them. */
export const SETTINGS = {
  port: integer({ env: 'PORT', description: 'Port to listen on; 0 takes a free one' }, 3000, 0, 65_535),
  host: text(
    { env: 'HOST', description: 'Address to listen on; `localhost` is 127.0.0.1' },
    '0.0.0.0',
    /^[\w.:-]{1,255}$/,
    'an IP address or a host name',
  ),
  memory: boolean(
    {
      env: 'POTLUCK_MEMORY',
      description: 'Nothing is kept on disk: a restart forgets all rooms (there is no durable store yet)',
    },
    true,
    [true],
  ),
  logLevel: oneOf({ env: 'POTLUCK_LOG_LEVEL', description: 'What is logged' }, 'info', [
    'trace',
    'debug',
    'info',
    'warn',
    'error',
    'fatal',
    'silent',
  ]),
  addressTrust: boolean(
    {
      env: 'POTLUCK_ADDRESS_TRUST',
      description:
        'Whether a client without a token may act for a participant that joined from the same address. Set it to false where many share one address (Docker Desktop)',
    },
    true,
  ),
  trustedProxies: addresses({
    env: 'POTLUCK_TRUSTED_PROXIES',
    description: 'Reverse proxies whose `X-Forwarded-For` is believed',
  }),
  corsOrigins: text(
    {
      env: 'POTLUCK_CORS_ORIGINS',
      description: 'Web pages of which origins may use the hub: `*`, or origins separated by commas',
    },
    '*',
    /^(?:\*|https?:\/\/[^\s,/]+(?:,https?:\/\/[^\s,/]+)*)$/,
    '* or origins like https://dash.example, separated by commas',
  ),
  tls: boolean(
    {
      env: 'POTLUCK_TLS',
      description: 'HTTPS with a certificate that the hub makes for itself once and keeps in its data directory',
    },
    false,
  ),
  tlsCert: path({
    env: 'POTLUCK_TLS_CERT',
    description: 'HTTPS with this certificate: path of a PEM file, with its chain',
  }),
  tlsKey: path({ env: 'POTLUCK_TLS_KEY', description: 'Path of the PEM file with its key' }),
  dataDir: path({
    env: 'POTLUCK_DATA_DIR',
    description: "Where the hub keeps what it must not forget; empty: the XDG data directory's `potluck`",
  }),
  adminToken: text(
    {
      env: 'POTLUCK_ADMIN_TOKEN',
      description: 'When set, opening rooms, `GET /events` and `/metrics` need it as a bearer token',
    },
    '',
    /^(?:[\x21-\x7e]{16,256})?$/,
    '16 to 256 printable characters without spaces, or empty for none',
  ),
  guessesPerMinute: integer(
    {
      env: 'POTLUCK_GUESSES_PER_MINUTE',
      description: 'Wrong passwords a minute, per address and room, that are answered; more get 429',
    },
    10,
    1,
    10_000,
  ),
  networkConnections: integer(
    {
      env: 'POTLUCK_NETWORK_CONNECTIONS',
      description:
        'Connections at once of one network (an IPv4 address, an IPv6 /64), two thirds of `ulimit -n` at most; more are closed at once. Trusted proxies have no bound',
    },
    4096,
    16,
    1_000_000,
  ),
  defaultRoom: text(
    {
      env: 'POTLUCK_DEFAULT_ROOM',
      description:
        "Code of the room that serves clients at the hub's root, `/v1` and `/api`, where their key names none",
    },
    '',
    /^(?:[A-Za-z0-9]{4,12})?$/,
    'a room code, or empty for none',
  ),
  publicEndpoints: boolean(
    {
      env: 'POTLUCK_PUBLIC_ENDPOINTS',
      description: 'Whether participants may be on the internet, not only on private networks',
    },
    false,
  ),
  bodyLimit: integer(
    { env: 'POTLUCK_BODY_LIMIT', description: "Largest body of the hub's own API, bytes" },
    64 * 1024,
    1024,
    64 * MIB,
  ),
  inferenceBodyLimit: integer(
    { env: 'POTLUCK_INFERENCE_BODY_LIMIT', description: 'Largest body of an inference request, bytes' },
    32 * MIB,
    1024,
    1024 * MIB,
  ),
  heldBytes: integer(
    {
      env: 'POTLUCK_HELD_BYTES',
      description:
        'Bytes of inference requests in memory at once, those that wait included; of one network (an IPv4 address, an IPv6 /64) half of it; the last eighth is for requests of 64 KiB at most',
    },
    1024 * MIB,
    MIB,
    1024 * 1024 * MIB,
  ),
  connectTimeoutMs: integer(
    { env: 'POTLUCK_CONNECT_TIMEOUT_MS', description: 'How long a participant may take to accept a connection, ms' },
    10_000,
    100,
    10 * MINUTE_MS,
  ),
  firstByteTimeoutMs: integer(
    {
      env: 'POTLUCK_FIRST_BYTE_TIMEOUT_MS',
      description: 'How long a participant may take to begin its answer, ms; loading a large model takes minutes',
    },
    15 * MINUTE_MS,
    100,
    24 * HOUR_MS,
  ),
  idleTimeoutMs: integer(
    { env: 'POTLUCK_IDLE_TIMEOUT_MS', description: 'Longest silence within an answer, ms' },
    15 * MINUTE_MS,
    100,
    24 * HOUR_MS,
  ),
  stallTimeoutMs: integer(
    {
      env: 'POTLUCK_STALL_TIMEOUT_MS',
      description: 'How long a client may read nothing of an answer that is there, ms',
    },
    15 * MINUTE_MS,
    100,
    24 * HOUR_MS,
  ),
  firstTokenMs: integer(
    {
      env: 'POTLUCK_FIRST_TOKEN_MS',
      description: "How long a stream's first token is waited for while somebody else who could serve is free, ms",
    },
    10_000,
    10,
    24 * HOUR_MS,
  ),
  maxAttempts: integer(
    { env: 'POTLUCK_MAX_ATTEMPTS', description: 'How often a request is tried, at one participant or at several' },
    3,
    1,
    100,
  ),
  queueLength: integer(
    { env: 'POTLUCK_QUEUE_LENGTH', description: 'Requests that may wait in one room; more get 429' },
    10_000,
    0,
    1_000_000,
  ),
  queueTimeoutMs: integer(
    { env: 'POTLUCK_QUEUE_TIMEOUT_MS', description: 'How long a request may wait for its turn, ms' },
    10 * MINUTE_MS,
    10,
    24 * HOUR_MS,
  ),
  defaultSlots: integer(
    {
      env: 'POTLUCK_DEFAULT_SLOTS',
      description: 'Requests at once of a participant that does not say how many it takes (`slots` on join)',
    },
    1,
    1,
    10_000,
  ),
  learnIntervalMs: integer(
    {
      env: 'POTLUCK_LEARN_INTERVAL_MS',
      description:
        "How often the participants' servers are asked what they can do and how many requests they take, ms; 0: never",
    },
    30_000,
    0,
    HOUR_MS,
  ),
  streamKeepAliveMs: integer(
    {
      env: 'POTLUCK_STREAM_KEEPALIVE_MS',
      description:
        'Silence behind which a stream that waits gets a sign of life, ms; 0: never, for clients that choke on it',
    },
    20_000,
    0,
    HOUR_MS,
  ),
  requestTimeoutMs: integer(
    { env: 'POTLUCK_REQUEST_TIMEOUT_MS', description: 'How long a client may take to send its whole request, ms' },
    5 * MINUTE_MS,
    1000,
    HOUR_MS,
  ),
  offlineAfterMs: integer(
    {
      env: 'POTLUCK_OFFLINE_AFTER_MS',
      description: 'Silence after which a participant is offline, ms: three heartbeats of 10 s',
    },
    30_000,
    100,
    24 * HOUR_MS,
  ),
  tunnelPingMs: integer(
    {
      env: 'POTLUCK_TUNNEL_PING_MS',
      description:
        'How often the hub pings a participant that has a tunnel, ms; no answer until the next ping closes it',
    },
    10_000,
    100,
    MINUTE_MS,
  ),
  healthTickMs: integer(
    { env: 'POTLUCK_HEALTH_TICK_MS', description: 'How often the hub looks who has gone silent, ms' },
    1000,
    10,
    MINUTE_MS,
  ),
  participantTtlMs: duration(
    { env: 'POTLUCK_PARTICIPANT_TTL', description: 'How long a participant may be offline before it is removed' },
    '24h',
  ),
  roomTtlMs: duration(
    {
      env: 'POTLUCK_ROOM_TTL',
      description: 'A room without participants and requests for so long is closed; never one with a custom code',
    },
    '7d',
  ),
  probeIntervalMs: integer(
    {
      env: 'POTLUCK_PROBE_INTERVAL_MS',
      description: 'Between two probes of a participant with `liveness: "probe"`, ms',
    },
    10_000,
    10,
    HOUR_MS,
  ),
  probeMaxIntervalMs: integer(
    { env: 'POTLUCK_PROBE_MAX_INTERVAL_MS', description: 'The pause doubles with each failed probe, up to this, ms' },
    MINUTE_MS,
    10,
    HOUR_MS,
  ),
  probeTimeoutMs: integer(
    { env: 'POTLUCK_PROBE_TIMEOUT_MS', description: 'How long a participant may take to answer a probe, ms' },
    5000,
    10,
    MINUTE_MS,
  ),
  eventHistory: integer(
    {
      env: 'POTLUCK_EVENT_HISTORY',
      description: 'Events kept for replay, per room; a subscriber that falls further behind is cut off',
    },
    1000,
    1,
    100_000,
  ),
  eventKeepAliveMs: integer(
    { env: 'POTLUCK_EVENT_KEEPALIVE_MS', description: 'A comment line to every subscriber each so many ms' },
    15_000,
    10,
    10 * MINUTE_MS,
  ),
  eventStallMs: integer(
    { env: 'POTLUCK_EVENT_STALL_MS', description: 'A subscriber that reads nothing for so long is cut off, ms' },
    MINUTE_MS,
    10,
    24 * HOUR_MS,
  ),
  graceMs: integer(
    { env: 'POTLUCK_GRACE_MS', description: 'How long running requests may go on when the hub shuts down, ms' },
    30_000,
    0,
    HOUR_MS,
  ),
} as const

export type SettingName = keyof typeof SETTINGS
type ValueOf<S> = S extends Setting<infer T> ? T : never
export type Config = { readonly [K in SettingName]: ValueOf<(typeof SETTINGS)[K]> }

/** A setting has a value that is not allowed; the message names it, its value and what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface ConfigSources {
  /** Values by their own names and types, checked like the others; they win over the rest. */
  options?: Partial<Config>
  /** Texts by flag name. */
  flags?: Readonly<Record<string, string | undefined>>
  env?: Readonly<Record<string, string | undefined>>
}

/**
 * Options win over flags, flags over the environment, the environment over the defaults. An empty text counts as absent.
 * @throws ConfigError
 */
export function readConfig({ options = {}, flags = {}, env = {} }: ConfigSources = {}): Config {
  const entries = Object.entries(SETTINGS).map(([name, setting]) => {
    const option = options[name as SettingName]
    if (option !== undefined && option !== setting.default) return [name, checked(setting, name, String(option))]
    const flag = flags[setting.flag]
    if (flag !== undefined && flag !== '') return [name, checked(setting, `--${setting.flag}`, flag)]
    const variable = env[setting.env]
    if (variable !== undefined && variable !== '') return [name, checked(setting, setting.env, variable)]
    return [name, setting.default]
  })
  return Object.freeze(Object.fromEntries(entries.map(([name, value]) => [name, Object.freeze(value)]))) as Config
}

function checked(setting: Setting<unknown>, source: string, value: string): unknown {
  const read = setting.read(value)
  if (read === undefined) throw new ConfigError(`${source} is ${JSON.stringify(value)}, but must be ${setting.allowed}`)
  return read
}

/** Read by other commands than `serve`; a shell that has them must still be able to start a hub. */
const CLIENT_SIDE: ReadonlySet<string> = new Set(['POTLUCK_HUB', 'POTLUCK_PASSWORD', 'POTLUCK_HEADERS'])

/**
 * Variables that look like settings and are none: a misspelt name would silently do nothing. Not an error, since
 * orchestrators make up variables from a service's name (`POTLUCK_SERVICE_HOST`).
 */
export function unknownSettings(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set<string>(Object.values(SETTINGS).map((setting) => setting.env))
  return Object.keys(env).filter((name) => name.startsWith('POTLUCK_') && !known.has(name) && !CLIENT_SIDE.has(name))
}
