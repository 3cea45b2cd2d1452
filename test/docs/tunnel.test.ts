import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  HUB_SILENCE_MS,
  PING_INTERVAL_MS,
  TUNNEL_CLOSE,
  TUNNEL_PATHS,
  TUNNEL_PROTOCOL,
  type TunnelPath,
} from '../../schemas/tunnel.ts'

const page = readFileSync('docs/tunnel.md', 'utf8')

t.test('the page has every reason for which a tunnel is closed, and the figures as they are', async (t) => {
  const listed = Array.from(page.matchAll(/^\| (\d{4}) \|/gm), ([, code]) => Number(code))
  t.strictSame(listed.sort(), [...Object.values(TUNNEL_CLOSE), 1009].sort())
  t.match(page, `\`${TUNNEL_PROTOCOL}\``)
  t.match(page, `each ${PING_INTERVAL_MS / 1000} s;`)
  t.match(page, `after ${HUB_SILENCE_MS / 1000} s of silence`)
})

function rowOf({ method, path, query = [], manages, isQuestion }: TunnelPath): string[] {
  const kind = manages === true ? 'changes models' : isQuestion === true ? 'a question' : 'inference'
  return [`\`${method} ${path}\``, kind, query.map((name) => `\`${name}\``).join(', ')]
}

t.test('the page lists all that may be asked, and nothing else', async (t) => {
  const rows = page.split('\n').filter((line) => /^\| `[A-Z]+ \//.test(line))
  const listed = rows.map((line) => line.slice(1, -1).split('|'))
  t.same(
    listed.map((cells) => cells.map((cell) => cell.trim())),
    TUNNEL_PATHS.map(rowOf),
  )
})
