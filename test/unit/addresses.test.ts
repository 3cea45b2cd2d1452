import t from 'tap'
import { createAddressPolicy, isLoopbackAddress, isPrivateAddress } from '../../plugins/access/addresses.ts'

const lan = createAddressPolicy({ allowPublic: false })
const internet = createAddressPolicy({ allowPublic: true })

/** Without: from the LAN. */
const HERE = { joinedFrom: '127.0.0.1' }

t.test('what is no IP address is allowed to nobody', async (t) => {
  for (const text of ['', ' ', 'localhost', 'gpu-box', '[::1]', '10.0.0.1:80', '10.0.0.1/8', '::g', '%eth0'])
    t.notOk(internet.allows(text, HERE), text)
})

t.test('the edges of the ranges that are refused to everybody', async (t) => {
  const ipv4 = ['0.0.0.0', '0.255.255.255', '169.254.0.0', '169.254.255.255', '224.0.0.0', '239.255.255.255']
  const ipv6 = ['::', 'fe80::', 'febf:ffff::', 'fec0::', 'feff:ffff::', 'ff00::', 'ffff::', '100::', '2001::']
  for (const address of [...ipv4, '240.0.0.0', '255.255.255.255', ...ipv6])
    t.notOk(internet.allows(address, HERE), address)
})

t.test('what lies beside them is allowed where the internet is', async (t) => {
  for (const address of ['1.0.0.0', '169.253.255.255', '169.255.0.0', '223.255.255.255', '2002:808:808::', '2606::1'])
    t.ok(internet.allows(address, {}), address)
})

t.test('the edges of the private ranges', async (t) => {
  const inside = ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255']
  const others = ['100.64.0.0', '100.127.255.255', 'fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']
  for (const address of [...inside, ...others]) t.ok(lan.allows(address, {}) && isPrivateAddress(address), address)
  const outside = ['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0']
  for (const address of [...outside, '100.63.255.255', '100.128.0.0', 'fbff::', 'fe00::'])
    t.notOk(lan.allows(address, {}) || isPrivateAddress(address), address)
})

t.test('loopback is for who joined from loopback, in whichever family', async (t) => {
  for (const address of ['127.0.0.0', '127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1']) {
    t.ok(isLoopbackAddress(address), address)
    for (const joinedFrom of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
      t.ok(lan.allows(address, { joinedFrom }))
    for (const joinedFrom of ['10.0.0.1', '126.0.0.1', '128.0.0.1', '::2', 'localhost', ''])
      t.notOk(internet.allows(address, { joinedFrom }), joinedFrom)
    t.notOk(internet.allows(address, {}))
  }
})

t.test('an IPv4 address in IPv6’s clothes is that address', async (t) => {
  for (const dress of ['::ffff:', '::ffff:0:', '::', '64:ff9b::']) {
    t.ok(lan.allows(`${dress}192.168.1.20`, {}), dress)
    for (const address of [
      '127.0.0.1',
      '169.254.169.254',
      '100.100.100.200',
      '224.0.0.1',
      '8.8.8.8',
      '255.255.255.255',
    ])
      t.notOk(lan.allows(`${dress}${address}`, {}), `${dress}${address}`)
  }
  t.ok(lan.allows('2002:c0a8:114::1', {}))
  for (const address of ['2002:7f00:1::', '2002:a9fe:a9fe::1', '2002:808:808::'])
    t.notOk(lan.allows(address, {}), address)
})

t.test('a zone id changes nothing', async (t) => {
  t.ok(lan.allows('fd00::1%eth0', {}))
  for (const address of ['fe80::1%eth0', '::1%lo', 'fd00:ec2::254%eth0']) t.notOk(internet.allows(address, {}), address)
})

t.test('the address that somebody joined from is theirs, however either is written', async (t) => {
  t.ok(lan.allows('203.0.113.9', { joinedFrom: '203.0.113.9' }))
  t.ok(lan.allows('::ffff:203.0.113.9', { joinedFrom: '203.0.113.9' }))
  t.ok(lan.allows('203.0.113.9', { joinedFrom: '::ffff:cb00:7109' }))
  t.ok(lan.allows('2001:DB8:0::9', { joinedFrom: '2001:db8::9' }))
  t.notOk(lan.allows('203.0.113.9', { joinedFrom: '203.0.113.8' }))
  t.notOk(lan.allows('203.0.113.9', {}))
})

t.test('that helps nobody to what is refused to everybody', async (t) => {
  for (const joinedFrom of [
    '169.254.1.1',
    'fe80::1',
    '100.100.100.200',
    '168.63.129.16',
    '224.0.0.1',
    '0.0.0.0',
    '250.0.0.1',
  ])
    t.notOk(internet.allows(joinedFrom, { joinedFrom }), joinedFrom)
})
