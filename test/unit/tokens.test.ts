import { createHash } from 'node:crypto'
import t from 'tap'
import { hashToken, mintToken } from '../../plugins/access/tokens.ts'

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
