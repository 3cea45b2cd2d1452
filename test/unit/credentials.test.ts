import type { IncomingHttpHeaders } from 'node:http'
import t from 'tap'
import { credentialsOf } from '../../plugins/access/credentials.ts'

const credentialOf = (headers: IncomingHttpHeaders) => credentialsOf(headers).credential

t.test('a credential comes as a bearer token or as x-api-key', async (t) => {
  t.equal(credentialOf({ authorization: 'Bearer abc' }), 'abc')
  t.equal(credentialOf({ 'x-api-key': 'abc' }), 'abc')
  t.equal(credentialOf({ authorization: 'Bearer abc', 'x-api-key': 'abc' }), 'abc')
})

t.test('two that differ are in conflict, and the bearer token comes first', async (t) => {
  const both = { authorization: 'Bearer abc', 'x-api-key': 'xyz' }
  t.strictSame(credentialsOf(both), { credential: 'abc', isConflicting: true })
  t.equal(credentialsOf({ authorization: 'Bearer abc', 'x-api-key': 'abc' }).isConflicting, false)
})

t.test('the scheme’s case and the number of spaces do not matter', async (t) => {
  for (const authorization of ['Bearer abc', 'bearer abc', 'BEARER abc', 'Bearer   abc', 'Bearer abc '])
    t.equal(credentialOf({ authorization }), 'abc', authorization)
})

t.test('a password may be any text, spaces and other scripts included', async (t) => {
  t.equal(credentialOf({ authorization: 'Bearer correct horse battery' }), 'correct horse battery')
  const sent = Buffer.from('Bearer schlüssel 鍵', 'utf8').toString('latin1')
  t.equal(credentialOf({ authorization: sent }), 'schlüssel 鍵')
  t.equal(credentialOf({ authorization: 'Bearer caf\u00e9' }), 'café', 'Latin-1 as it was')
})

t.test('nothing, an empty one and another scheme are none', async (t) => {
  for (const authorization of ['', 'Bearer', 'Bearer ', 'abc', 'Basic abc', 'Bearerabc'])
    t.equal(credentialOf({ authorization }), undefined, JSON.stringify(authorization))
  t.equal(credentialOf({}), undefined)
  t.equal(credentialOf({ 'x-api-key': '  ' }), undefined)
})

t.test('a huge one is looked at no further than a password can be', async (t) => {
  t.equal(credentialOf({ authorization: `Bearer ${'x'.repeat(100_000)}` })?.length, 1024)
})
