/**
 * Writes docs/access.md, who may do what, from the table that the hub itself decides by.
 *
 *   node docs/access.ts [--check] [FILE]   --check writes nothing and fails where the page is stale
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { mayDo, OPERATIONS, type Operation, type Role } from '../plugins/access/operations.ts'
import { SETTINGS } from '../src/config.ts'

const PAGE = fileURLToPath(new URL('access.md', import.meta.url))

const ROLES: Record<Role, string> = {
  stranger: 'stranger',
  guest: 'guest',
  participant: 'participant',
  host: 'host',
  admin: 'admin',
}

const HEAD = ['to …', ...Object.values(ROLES), 'more']

/** Let in by the table, and then asked by the route itself whether it is the one that the last column names. */
const ASKED_AGAIN: ReadonlySet<Operation> = new Set(['leave', 'heartbeat', 'updateParticipant', 'readUsage'])

function cells(operation: Operation): string[] {
  const { summary, besides = '' } = { besides: '', ...OPERATIONS[operation] }
  const mark = ASKED_AGAIN.has(operation) ? '*' : 'yes'
  const marks = (Object.keys(ROLES) as Role[]).map((role) => (mayDo(operation, role) ? mark : ''))
  return [summary, ...marks, besides]
}

/** In columns, as the formatter wants it. */
function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)))
  const line = (row: string[]) => `| ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join(' | ')} |`
  return [head, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n')
}

const PAGE_TEXT = `<!-- written by docs/access.ts -->

# Who may do what

A room is open, or it has a password. Who somebody is in a room follows from the credential that the request shows, and
from nothing else:

- **stranger**: shows nothing, or something wrong, and the room has a password.
- **guest**: anybody in an open room; in a room with a password, whoever shows the password or a personal key.
- **participant**: shows the token that its join returned.
- **host**: shows the \`hostToken\` that opening the room returned.
- **admin**: shows the hub's admin token (\`${SETTINGS.adminToken.env}\`). Where the hub has none, everybody may do what only
  an admin may. In a room the admin token is nothing.

${table(HEAD, (Object.keys(OPERATIONS) as Operation[]).map(cells))}

\\*: whoever of these the last column names.

Without a credential or with a wrong one the answer is 401, with a right one of the wrong role 403. Everything below a room
with a password is 401 to a stranger, whether anything is served there or not; that the room exists is no secret.

## Where a credential is sent

As \`Authorization: Bearer …\`, or as \`x-api-key\`, as the API key of any OpenAI or Anthropic client. Two that differ are
refused with 400 where the room has a password. In an open room none is needed, and an unknown one is ignored. A join may
have the password in its body instead; where it has it in both places, the body decides.

A client that knows only the hub's address (\`/v1\`, \`/api\` at the root) names the room by its key: \`CODE\`, \`CODE:password\`, or a
personal key. A key that names no room, be it misspelt or of a room that has closed, counts as none: then the default room serves
(\`${SETTINGS.defaultRoom.env}\`), else the only one that is listed. Whoever must be sure which room gets a prompt puts the code into the base URL.
Words that people write where no key is needed (\`none\`, \`ollama\`, \`test\` and the like) name no room unless a colon stands behind them.

A browser's EventSource can send no header: it gets a ticket from \`POST /rooms/CODE/events/ticket\` and opens
\`GET /rooms/CODE/events?ticket=…\`. A ticket is for the event stream of its room alone. It is good
for five minutes, and while its stream lives and five minutes beyond, so that the browser can come back; a change of the
password ends it.

## Participants without a token

Clients that know no tokens send a heartbeat, leave and join again from the address that they joined from, until the
participant's token was used once. The address counts for nothing where it is a trusted proxy's
(\`${SETTINGS.trustedProxies.env}\`), where a web page sends the request, and where \`${SETTINGS.addressTrust.env}\` is \`false\`.

## Wrong passwords

An address may try ${SETTINGS.guessesPerMinute.default} wrong ones a minute in each room (\`${SETTINGS.guessesPerMinute.env}\`); they are answered
at once, with 401. Further ones get 429 and \`Retry-After\`. Tokens and keys are never held back, nor is a password that was right before. IPv6 addresses of one /64
count as one.

## Personal keys

The host mints a key for each person (\`POST /rooms/CODE/keys\`), sees what each has used (\`GET /rooms/CODE/usage\`)
and revokes one without changing the password for all. A key may have budgets: \`requestsPerMinute\`, and \`tokensPerDay\` (UTC, input and
output together). Beyond them inference gets 429, and \`Retry-After\` says when it goes on.
`

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [file = PAGE] = positionals
if (!values.check) writeFileSync(file, PAGE_TEXT)
else if (readFileSync(file, 'utf8') !== PAGE_TEXT) {
  console.error(`${file} is stale; run \`node docs/access.ts\` to write it anew`)
  process.exitCode = 1
}
