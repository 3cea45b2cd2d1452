import { createHash } from 'node:crypto'
import t from 'tap'
import { bearerToken, hashToken, mintToken } from '../../plugins/access/tokens.ts'

t.test('a token is 256 bits in base64url, and no two are alike', async (t) => {
  const tokens = Array.from({ length: 100 }, () => mintToken().token)
  t.equal(new Set(tokens).size, 100)
  for (const token of tokens) t.match(token, /^[\w-]{43}$/)
})

t.test('what is kept is the token’s SHA-256', async (t) => {
  const { token, hash } = mintToken()
  t.equal(hash, createHash('sha256').update(token).digest('hex'))
  t.equal(hashToken(token), hash)
  t.equal(hash.includes(token), false)
})

t.test('a minted token comes back from the header that it is sent in', async (t) => {
  const { token } = mintToken()
  t.equal(bearerToken(`Bearer ${token}`), token)
})

t.test('the scheme’s case and the number of spaces do not matter', async (t) => {
  for (const header of ['Bearer abc', 'bearer abc', 'BEARER abc', 'Bearer   abc'])
    t.equal(bearerToken(header), 'abc', header)
})

t.test('every character of RFC 6750 §2.1 is taken', async (t) => {
  t.equal(bearerToken('Bearer aZ09-._~+/=='), 'aZ09-._~+/==')
  t.equal(bearerToken(`Bearer ${'x'.repeat(512)}`), 'x'.repeat(512))
})

t.test('what is no bearer token is none', async (t) => {
  const wrong = [
    '',
    'Bearer',
    'Bearer ',
    'abc',
    'Basic abc',
    'Bearerabc',
    ' Bearer abc',
    'Bearer abc ',
    'Bearer a b',
    'Bearer a,b',
    'Bearer\tabc',
    'Bearer abc\n',
    'Bearer é',
    'XBearer abc',
    `Bearer ${'x'.repeat(513)}`,
  ]
  t.equal(bearerToken(undefined), undefined)
  for (const header of wrong) t.equal(bearerToken(header), undefined, JSON.stringify(header.slice(0, 30)))
})
