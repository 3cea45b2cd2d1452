import { join } from 'node:path'
import t from 'tap'
import { is, machine } from '../support/cli.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'

t.test('a hub with a certificate of its own: untrusted it is refused, trusted it is joined and asked', async (t) => {
  const dataDir = t.testdir({})
  const { url } = await startHub(t, { tls: true, dataDir })
  const llm = await startFakeLlm(t, tells(FINDABLE.ollama!(['a'])))
  const laptop = machine(t)
  const refused = await laptop.run(['create', 'Kitchen', '--code', 'KITCHEN', '--hub', url])
  t.equal(refused.code, 69)
  t.match(refused.stderr, /certificate is not trusted .*NODE_EXTRA_CA_CERTS/)

  const env = { NODE_EXTRA_CA_CERTS: join(dataDir, 'tls-cert.pem'), POTLUCK_HUB: url }
  t.equal((await laptop.run(['create', 'Kitchen', '--code', 'KITCHEN'], { env })).code, 0)
  const alice = laptop.start(['join', 'KITCHEN', '--endpoint', llm.url, '--no-specs'], { env })
  t.match(await alice.until(is('joined')), { via: 'tunnel', baseUrl: `${url}/rooms/KITCHEN/v1` })
  t.match((await laptop.run(['ask', 'KITCHEN', 'hi', '--json'], { env })).json(), [{ participant: /-ollama$/ }])
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 0)
})
