import { readFileSync } from 'node:fs'
import t from 'tap'
import { HUB_SILENCE_MS, PING_INTERVAL_MS, TUNNEL_CLOSE, TUNNEL_PROTOCOL } from '../../schemas/tunnel.ts'

const page = readFileSync('docs/tunnel.md', 'utf8')

t.test('the page has every reason for which a tunnel is closed, and the figures as they are', async (t) => {
  const listed = Array.from(page.matchAll(/^\| (\d{4}) \|/gm), ([, code]) => Number(code))
  t.strictSame(listed.sort(), [...Object.values(TUNNEL_CLOSE), 1009].sort())
  t.match(page, `\`${TUNNEL_PROTOCOL}\``)
  t.match(page, `each ${PING_INTERVAL_MS / 1000} s;`)
  t.match(page, `after ${HUB_SILENCE_MS / 1000} s of silence`)
})
