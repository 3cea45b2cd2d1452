import t from 'tap'
import { atPort, HERE, LAPTOP, startJoins, takesAll } from '../support/joiners.ts'

const RFC1918 = ['10.0.0.1', '10.255.255.254', '172.16.0.1', '172.31.255.254', '192.168.0.1', '192.168.255.254']
const SPELT = ['3232235786', '0xc0a8010a', '192.168.266', '[::ffff:192.168.1.10]', '１９２.168.1.10', '192.168.1.10.']
const OVERLAY = ['100.64.0.1', '100.101.102.103', '100.127.255.254']
const ULA = ['[fd12:3456:789a::1]', '[fc00::1]', '[fdff:ffff::1]', '[FD7A:115C:A1E0::1]']

t.test('private networks, unique local addresses and overlay networks are what a LAN is made of', async (t) => {
  const joins = await startJoins(t)
  for (const from of [LAPTOP, HERE, '127.0.0.1'])
    await takesAll(t, joins, atPort([...RFC1918, ...OVERLAY, ...ULA]), from)
})

t.test('however they are written', async (t) => {
  await takesAll(t, await startJoins(t), atPort(SPELT))
})

t.test('on any port, with a path, over https', async (t) => {
  const endpoints = [
    'http://192.168.1.10',
    'http://192.168.1.10:1',
    'https://192.168.1.10:65535',
    'http://10.0.0.1/llm/v1',
  ]
  await takesAll(t, await startJoins(t), endpoints)
})

t.test('a name is taken unseen: nothing is looked up at a join', async (t) => {
  const asked: string[] = []
  const resolver = (hostname: string, callback: (error: null, addresses: []) => void) => {
    asked.push(hostname)
    callback(null, [])
  }
  await takesAll(t, await startJoins(t, { resolver }), atPort(['gpu-box', 'gpu.lan', 'ollama.local', 'llm.example.']))
  t.strictSame(asked, [])
})
