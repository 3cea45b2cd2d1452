import t from 'tap'
import { atPort, HERE, LAPTOP, refusesAll, startJoins, takesAll } from '../support/joiners.ts'

const WHY = /must not be .+ loopback only for who joins on the hub's own machine/

const DOTTED = ['127.0.0.1', '127.1', '127.0.1', '127.255.255.254', '127.0.0.1.']
const NUMBERS = ['2130706433', '017700000001', '0177.0.0.1', '0x7f.1', '0x7f000001', '0X7F.0.0.0x1']
const IPV6 = ['[::1]', '[0:0:0:0:0:0:0:1]', '[0000::0001]', '[::ffff:127.0.0.1]', '[::FFFF:7f00:1]', '[::127.0.0.1]']
const TRANSLATED = ['[64:ff9b::127.0.0.1]', '[2002:7f00:1::]', '[::ffff:0:127.0.0.1]']
const NAMES = [
  'localhost',
  'LocalHost',
  'localhost.',
  'ollama.localhost',
  'a.b.LOCALHOST.',
  'l%6fcalhost',
  'ｌocalhost',
]
const SPELT = ['１２７.0.0.1', '127。0。0。1', '①②⑦.0.0.1', '%31%32%37.0.0.1', 'ⓛocalhost', 'local\u00adhost']
const ALL = [...DOTTED, ...NUMBERS, ...IPV6, ...TRANSLATED, ...NAMES, ...SPELT]

t.test('loopback is refused to a joiner from the LAN, however it is written', async (t) => {
  await refusesAll(t, await startJoins(t), atPort(ALL), WHY)
})

t.test('also where the internet is allowed', async (t) => {
  await refusesAll(t, await startJoins(t, { publicEndpoints: true }), atPort(ALL), WHY)
})

t.test('also to a joiner whose address is not known: who comes from the proxy itself', async (t) => {
  await refusesAll(t, await startJoins(t), atPort(ALL), WHY, '127.0.0.1')
})

t.test('also to one who writes a loopback address in front of what the proxy saw', async (t) => {
  for (const claimed of ['127.0.0.1', '::1', '127.0.0.2', 'localhost'])
    await refusesAll(t, await startJoins(t), atPort(['127.0.0.1', 'localhost', '[::1]']), WHY, `${claimed}, ${LAPTOP}`)
})

t.test('an X-Forwarded-For that holds no address is no loopback', async (t) => {
  for (const odd of ['localhost', 'unknown', '127.0.0.1:80', '[::1]'])
    await refusesAll(t, await startJoins(t), atPort(['127.0.0.1', 'localhost', '[::1]']), WHY, odd)
})

t.test('X-Forwarded-For is believed from nobody where no proxy is trusted', async (t) => {
  const joins = await startJoins(t, { trustedProxies: [] })
  // All come over loopback here, so this tells the other way round: the header takes nothing away.
  await takesAll(t, joins, atPort(['127.0.0.1']), LAPTOP)
})

t.test('a joiner on the hub’s own machine may give it', async (t) => {
  const joins = await startJoins(t)
  for (const from of [HERE, '127.0.0.9', '::ffff:127.0.0.9']) await takesAll(t, joins, atPort(ALL), from)
})
