import type { NetworkInterfaceInfo } from 'node:os'
import t from 'tap'
import { hubFromLan, lanAddresses } from '../../src/cli/lan.ts'

function at(address: string, more: object = {}): NetworkInterfaceInfo {
  return { address, family: 'IPv4', internal: false, netmask: '', mac: '', cidr: null, ...more } as NetworkInterfaceInfo
}

const LOOPBACK = { lo: [at('127.0.0.1', { internal: true })] }
const LAN = {
  ...LOOPBACK,
  docker0: [at('172.17.0.1')],
  eth0: [at('fe80::1', { family: 'IPv6' }), at('192.168.1.5')],
}

t.test('of several addresses that of a real network comes first', async (t) => {
  t.same(lanAddresses(LAN), ['192.168.1.5', '172.17.0.1'])
  t.same(lanAddresses(LOOPBACK), [])
})

t.test('a hub on this machine has another address for others', async (t) => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '0.0.0.0', '[::1]', '[::]'])
    t.equal(hubFromLan(`http://${host}:3000/hub`, LAN), 'http://192.168.1.5:3000/hub', host)
  t.equal(hubFromLan('https://localhost', LAN), 'https://192.168.1.5')
})

t.test('one elsewhere is the same for all, and one without a LAN is nobody’s', async (t) => {
  t.equal(hubFromLan('http://hub.local:4000', LAN), 'http://hub.local:4000')
  t.equal(hubFromLan('http://localhost:3000', LOOPBACK), undefined)
})
