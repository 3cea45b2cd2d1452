import t from 'tap'
import { atPort, HERE, LAPTOP, refusesAll, startJoins, takesAll } from '../support/joiners.ts'

/** RFC 5737 and RFC 3849: they stand for the internet here, like the real ones nothing is ever sent to. */
const HOME = '203.0.113.9'
const HOME_V6 = '2001:db8::9'

const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '134744072',
  '0x08080808',
  '[2606:4700::1111]',
  '[::ffff:8.8.8.8]',
  '198.51.100.7',
]
const TRANSLATED = ['[64:ff9b::8.8.8.8]', '[2002:808:808::1]', '[::8.8.8.8]']
const BESIDE_PRIVATE = ['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0']
const BESIDE_OTHERS = ['100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '[fbff::1]']

t.test('public addresses are refused', async (t) => {
  const joins = await startJoins(t)
  const hosts = [...PUBLIC, ...TRANSLATED, ...BESIDE_PRIVATE, ...BESIDE_OTHERS]
  for (const from of [LAPTOP, HERE, HOME]) await refusesAll(t, joins, atPort(hosts), /must not be/, from)
})

t.test('publicEndpoints: true allows them', async (t) => {
  const joins = await startJoins(t, { publicEndpoints: true })
  await takesAll(t, joins, [...atPort([...PUBLIC, ...BESIDE_PRIVATE]), 'https://8.8.8.8/v1'])
})

t.test('the address that one joins from is allowed, a public one too', async (t) => {
  const joins = await startJoins(t)
  await takesAll(t, joins, atPort([HOME, '[::ffff:203.0.113.9]', '3405803785']), HOME)
  await takesAll(t, joins, atPort([HOME]), `::ffff:${HOME}`)
  await takesAll(t, joins, atPort([`[${HOME_V6}]`, '[2001:DB8:0:0::9]']), HOME_V6)
})

t.test('its neighbour is not', async (t) => {
  const joins = await startJoins(t)
  await refusesAll(t, joins, atPort(['203.0.113.8', `[${HOME_V6}]`]), /must not be/, HOME)
  await refusesAll(t, joins, atPort(['[2001:db8::8]', HOME]), /must not be/, HOME_V6)
})

t.test('the address that one joins from is not, where it is one that nobody may give', async (t) => {
  const joins = await startJoins(t, { publicEndpoints: true })
  for (const [from, host] of [
    ['169.254.7.7', '169.254.7.7'],
    ['fe80::7', '[fe80::7]'],
    ['168.63.129.16', '168.63.129.16'],
  ] as const)
    await refusesAll(t, joins, atPort([host]), /must not be/, from)
})
