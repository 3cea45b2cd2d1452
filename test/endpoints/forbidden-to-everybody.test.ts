import t, { type Test } from 'tap'
import { atPort, HERE, LAPTOP, refusesAll, startJoins } from '../support/joiners.ts'

const WHY = /must not be .+: it may be the address that you join from/

/** Also for who is on the hub's machine, and where the internet is allowed. */
async function refusedToEverybody(t: Test, hosts: readonly string[]): Promise<void> {
  for (const publicEndpoints of [false, true]) {
    const joins = await startJoins(t, { publicEndpoints })
    for (const from of [LAPTOP, HERE]) await refusesAll(t, joins, atPort(hosts), WHY, from)
  }
}

t.test('link-local addresses', async (t) => {
  const ipv4 = ['169.254.0.1', '169.254.1.2', '169.254.169.253', '169.254.170.2', '169.254.255.254']
  await refusedToEverybody(t, [...ipv4, '[fe80::1]', '[FE80::a9fe:a9fe]', '[febf:ffff::1]'])
})

t.test('metadata services within the link-local range', async (t) => {
  await refusedToEverybody(t, ['169.254.169.254', '169.254.170.23', '169.254.42.42', '169.254.0.23'])
})

t.test('metadata services outside of it: AWS, Alibaba, Azure, Oracle', async (t) => {
  const ipv6 = ['[fd00:ec2::254]', '[FD00:0EC2:0:0::0254]', '[fd00:ec2:0:0:0:0:0:254]']
  await refusedToEverybody(t, [...ipv6, '100.100.100.200', '168.63.129.16', '192.0.0.192'])
})

t.test('metadata services at unique local addresses: AWS (EKS), Google, Scaleway, Oracle, Linode', async (t) => {
  const eks = '[fd00:ec2::23]'
  await refusedToEverybody(t, [eks, '[fd20:ce::254]', '[fd00:42::42]', '[fd00:c1::a9fe:a9fe]', '[fd00:a9fe:a9fe::1]'])
})

t.test('the address that means any', async (t) => {
  await refusedToEverybody(t, ['0.0.0.0', '0', '0.1.2.3', '[::]', '[0:0::0]', '[::ffff:0.0.0.0]'])
})

t.test('multicast', async (t) => {
  await refusedToEverybody(t, ['224.0.0.1', '239.255.255.250', '232.1.2.3', '[ff02::1]', '[ff05::c]', '[ff0e::1]'])
})

t.test('broadcast and what is kept for the future', async (t) => {
  await refusedToEverybody(t, ['255.255.255.255', '240.0.0.1', '250.1.2.3', '255.255.255.254'])
})

t.test('IPv6 ranges that nobody serves at', async (t) => {
  await refusedToEverybody(t, [
    '[fec0::1]',
    '[feff::1]',
    '[100::1]',
    '[2001::1]',
    '[2001:0:a9fe:a9fe::1]',
    '[2001:20::1]',
  ])
})

t.test('the first ORCHID range (RFC 4843)', async (t) => {
  await refusedToEverybody(t, ['[2001:10::1]', '[2001:1f::1]'])
})
