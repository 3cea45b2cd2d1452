import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t from 'tap'
import { isHere } from '../support/loopback-only.ts'

t.test('this machine is its loopback, by address and by name, and nothing else is', async (t) => {
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost']) t.equal(isHere(host), true, host)
  const elsewhere = ['0.0.0.0', '10.0.0.1', '192.168.1.20', '169.254.169.254', '::', 'fe80::1', '8.8.8.8', 'hub', '']
  for (const host of elsewhere) t.equal(isHere(host), false, host)
})

t.test('what is here can be reached as ever', async (t) => {
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const [said] = await once(connect(port, 'localhost').setEncoding('utf8'), 'data')
  t.equal(said, 'hello')
})
