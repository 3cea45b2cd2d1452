import { networkInterfaces } from 'node:os'
import t from 'tap'
import { atPort, HERE, refusesAll, startJoins } from '../support/joiners.ts'

const WHY = /own address/

/** High and low half of an IPv4 address, in hexadecimal. */
function groupsOf(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number)
  return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
}

t.test('loopback at the hub’s port is the hub, also in IPv6’s clothes', async (t) => {
  const joins = await startJoins(t)
  const port = Number(new URL(joins.url).port)
  const hosts = [
    '[::127.0.0.1]',
    '[64:ff9b::127.0.0.1]',
    '[2002:7f00:1::]',
    '[::ffff:0:127.0.0.1]',
    '①②⑦.1',
    '0x7f000001',
  ]
  await refusesAll(t, joins, atPort(hosts, port), WHY, HERE)
})

t.test('so is the address that means any', async (t) => {
  const joins = await startJoins(t)
  const hosts = ['0.0.0.0', '0', '0x0', '00000', '[::]', '[::ffff:0.0.0.0]', '[::ffff:0:0]']
  await refusesAll(t, joins, atPort(hosts, Number(new URL(joins.url).port)), WHY, HERE)
})

t.test('so is the machine’s own IPv4 address as NAT64, 6to4, translated or compatible IPv6', async (t) => {
  const joins = await startJoins(t, { publicEndpoints: true })
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const own = all
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => groupsOf(address))
  const hosts = own.flatMap((groups) => [
    `[64:ff9b::${groups}]`,
    `[2002:${groups}::]`,
    `[::ffff:0:${groups}]`,
    `[::${groups}]`,
  ])
  await refusesAll(t, joins, atPort(hosts, Number(new URL(joins.url).port)), WHY)
})
