import t from 'tap'
import { ConfigError, readConfig, SETTINGS, type SettingName, unknownSettings } from '../../src/config.ts'
import { createHub } from '../../src/hub.ts'

const names = Object.keys(SETTINGS) as SettingName[]

/** No setting means this, whatever its kind. */
const WRONG = '\u0007 nonsense'

const MINUTE = 60_000

t.test('the defaults are what the documentation says', async (t) => {
  t.match(readConfig(), {
    port: 3000,
    host: '0.0.0.0',
    logLevel: 'info',
    addressTrust: true,
    trustedProxies: [],
    bodyLimit: 65_536,
    inferenceBodyLimit: 33_554_432,
    connectTimeoutMs: 10_000,
    firstByteTimeoutMs: 15 * MINUTE,
    idleTimeoutMs: 15 * MINUTE,
    offlineAfterMs: 30_000,
    participantTtlMs: 24 * 60 * MINUTE,
    roomTtlMs: 7 * 24 * 60 * MINUTE,
    eventKeepAliveMs: 15_000,
    graceMs: 30_000,
  })
})

// By default ten minutes of silence break neither events nor inference.
t.test('no default limit is shorter than ten minutes of silence, but those that wait for a connection', async (t) => {
  const { firstByteTimeoutMs, idleTimeoutMs } = readConfig()
  for (const limit of [firstByteTimeoutMs, idleTimeoutMs]) t.ok(limit > 10 * MINUTE)
})

for (const name of names) {
  const setting = SETTINGS[name]

  t.test(`${setting.env}: its default is what it may be`, async (t) => {
    t.strictSame(readConfig()[name], setting.default)
    t.strictSame(setting.read(String(setting.default)), setting.default)
  })

  t.test(`${setting.env}: a wrong value is refused by variable, flag and option, with what is allowed`, async (t) => {
    // Any text may name a file; whether there is one shows when it is read.
    const NONSENSE = setting.allowed === 'a path' ? 'a\0b' : WRONG
    const refusal = (source: string) => `${source} is ${JSON.stringify(NONSENSE)}, but must be ${setting.allowed}`
    const failing = { name: 'ConfigError', message: refusal(setting.env) }
    t.throws(() => readConfig({ env: { [setting.env]: NONSENSE } }), failing)
    t.throws(() => readConfig({ flags: { [setting.flag]: NONSENSE } }), { message: refusal(`--${setting.flag}`) })
    t.throws(() => readConfig({ options: { [name]: NONSENSE } }), { message: refusal(name) })
  })

  t.test(`${setting.env}: it says what it is for`, async (t) => {
    t.match(setting.env, /^(PORT|HOST|REDIS_URL|POTLUCK_[A-Z_]+)$/)
    t.match(setting.flag, /^[a-z][a-z-]*[a-z]$/)
    t.ok(setting.description.length > 10)
  })
}

t.test('every setting has a variable and a flag of its own', async (t) => {
  const settings = Object.values(SETTINGS)
  t.equal(new Set(settings.map(({ env }) => env)).size, names.length)
  t.equal(new Set(settings.map(({ flag }) => flag)).size, names.length)
})

t.test('a number is taken at its bounds and refused beyond', async (t) => {
  let bounded = 0
  for (const { env, allowed, read } of Object.values(SETTINGS)) {
    const [, minimum, maximum] = /^a whole number from (\d+) to (\d+)$/.exec(allowed) ?? []
    if (minimum === undefined || maximum === undefined) continue
    bounded += 1
    t.equal(read(minimum), Number(minimum), `${env} ${minimum}`)
    t.equal(read(maximum), Number(maximum), `${env} ${maximum}`)
    t.equal(read(String(Number(minimum) - 1)), undefined, `${env} below ${minimum}`)
    t.equal(read(String(Number(maximum) + 1)), undefined, `${env} above ${maximum}`)
  }
  t.ok(bounded > 5)
})

t.test('a number is digits and nothing else', async (t) => {
  for (const text of [
    '',
    ' ',
    '3000 ',
    ' 3000',
    '3e3',
    '0x10',
    '3000.0',
    '+3000',
    '-1',
    '3_000',
    '3,000',
    'NaN',
    '٣',
    '3000\n',
  ]) {
    t.equal(SETTINGS.port.read(text), undefined, JSON.stringify(text))
  }
  for (const option of [Number.NaN, Number.POSITIVE_INFINITY, 3000.5, -1, 1e21]) {
    t.throws(() => readConfig({ options: { port: option } }), ConfigError, String(option))
  }
})

t.test('true and false are written so', async (t) => {
  t.equal(readConfig({ env: { POTLUCK_ADDRESS_TRUST: 'false' } }).addressTrust, false)
  t.equal(readConfig({ options: { addressTrust: false } }).addressTrust, false)
  for (const text of ['0', '1', 'no', 'yes', 'False', 'TRUE', 'off']) {
    t.throws(() => readConfig({ env: { POTLUCK_ADDRESS_TRUST: text } }), { message: /must be true or false/ }, text)
  }
})

t.test('a time is a number with a unit, or ms', async (t) => {
  const times = { '90s': 90_000, '30m': 30 * MINUTE, '12h': 720 * MINUTE, '7d': 7 * 1440 * MINUTE, '1500': 1500 }
  for (const [text, ms] of Object.entries(times))
    t.equal(readConfig({ env: { POTLUCK_ROOM_TTL: text } }).roomTtlMs, ms, text)
  for (const text of ['7 d', '7D', '1w', '1.5h', '-1d', 'd', '7days', '1h30m', 'forever']) {
    t.throws(() => readConfig({ env: { POTLUCK_ROOM_TTL: text } }), { message: /a time like 90s/ }, text)
  }
})

t.test('a level is one of those on the list', async (t) => {
  t.equal(readConfig({ env: { POTLUCK_LOG_LEVEL: 'silent' } }).logLevel, 'silent')
  t.throws(() => readConfig({ env: { POTLUCK_LOG_LEVEL: 'INFO' } }), { message: /one of trace, debug, info/ })
})

t.test('a host is a name or an address', async (t) => {
  for (const host of ['127.0.0.1', '::', '::1', 'localhost', 'hub-1.lan'])
    t.equal(readConfig({ env: { HOST: host } }).host, host)
  for (const host of ['http://x', 'a b', 'x/y', '[::1]', 'x'.repeat(256), 'a\n']) {
    t.throws(() => readConfig({ env: { HOST: host } }), ConfigError, JSON.stringify(host.slice(0, 20)))
  }
})

t.test('proxies are addresses and networks, separated by commas', async (t) => {
  const read = (text: string) => readConfig({ env: { POTLUCK_TRUSTED_PROXIES: text } }).trustedProxies
  t.strictSame(read('10.0.0.1'), ['10.0.0.1'])
  t.strictSame(read(' 10.0.0.0/8 , ::1,fd00::/8,'), ['10.0.0.0/8', '::1', 'fd00::/8'])
  t.strictSame(readConfig({ options: { trustedProxies: ['10.0.0.1', '::1'] } }).trustedProxies, ['10.0.0.1', '::1'])
})

const WRONG_NETWORKS = [
  '10.0.0',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/x',
  '10.0.0.0/-1',
  '::/129',
  'localhost',
  '*',
  '1.2.3.4;5.6.7.8',
  '10.0.0.0/8/9',
]

for (const network of WRONG_NETWORKS) {
  t.test(`${network} is no network`, async (t) => {
    t.throws(() => readConfig({ env: { POTLUCK_TRUSTED_PROXIES: network } }), ConfigError)
  })
}

// What the configuration accepts the hub must be able to start with: a mistake is to be named, not to crash.
for (const network of ['10.0.0.0/8', '10.0.0.1', '::1', 'fd00::/8', '0.0.0.0/0', '::/0']) {
  t.test(`a hub starts behind the proxies ${network}, or says why not`, async (t) => {
    try {
      const { trustedProxies } = readConfig({ env: { POTLUCK_TRUSTED_PROXIES: network } })
      const hub = createHub({ host: '127.0.0.1', port: 0, trustedProxies })
      await t.resolves(hub.ready())
      await hub.close()
    } catch (error) {
      t.type(error, ConfigError)
    }
  })
}

t.test('options win over flags, flags over the environment, the environment over the defaults', async (t) => {
  const env = { PORT: '1' }
  const flags = { port: '2' }
  const options = { port: 4 }
  t.equal(readConfig({ env }).port, 1)
  t.equal(readConfig({ env, flags }).port, 2)
  t.equal(readConfig({ env, flags, options }).port, 4)
  t.equal(readConfig({ env, options }).port, 4)
})

t.test('a value that is overruled is not looked at', async (t) => {
  t.equal(readConfig({ env: { PORT: WRONG }, flags: { port: '2' } }).port, 2)
})

t.test('an empty text counts as absent, also as a flag', async (t) => {
  t.equal(readConfig({ env: { PORT: '' } }).port, 3000)
  t.equal(readConfig({ env: { PORT: '1' }, flags: { port: '' } }).port, 1)
})

t.test('what is undefined counts as absent', async (t) => {
  t.equal(readConfig({ env: { PORT: undefined }, flags: { port: undefined } }).port, 3000)
})

t.test('a configuration is frozen', async (t) => {
  const config = readConfig() as { port: number }
  t.ok(Object.isFrozen(config))
  t.throws(() => {
    config.port = 1
  }, TypeError)
})

t.test('variables that look like settings and are none are told', async (t) => {
  const env = {
    POTLUCK_PROT: '1',
    POTLUCK_: 'x',
    PORT: '1',
    PROT: '1',
    potluck_port: '1',
    POTLUCK_HUB: 'http://h',
    HOST: 'h',
  }
  t.strictSame(unknownSettings(env), ['POTLUCK_PROT', 'POTLUCK_'])
})

t.test('no setting is unknown', async (t) => {
  const env = Object.fromEntries(Object.values(SETTINGS).map(({ env }) => [env, '']))
  t.strictSame(unknownSettings(env), [])
})
