import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { machine } from '../support/cli.ts'
import { startFakeLlm } from '../support/fake-llm.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { noTerminal, onTerminal } from '../support/terminal.ts'

/** Retitles the window, clears the screen, turns text around, and begins a line of its own. */
const EVIL = '\u001B]0;pwned\u0007\u001B[2J\u009B31m\u202E\u200F\r\npotluck: all is well\u2028'
const TAMED = ']0;pwned[2J31m potluck: all is well'
const UNPRINTABLE = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069]/

/** Its code would leave a directory, and end a command that somebody pastes. */
const ROOM = {
  id: `../../${EVIL}`,
  code: '../../../LAB;\u001B]\u0007\npotluck: \u202E',
  name: `Lab${EVIL}`,
  participantCount: EVIL,
  protected: false,
}

/** A hub that means ill: it says what a terminal, a shell or a file system would obey. */
async function startEvilHub(t: Test, room: object = ROOM) {
  const { url } = await startFakeLlm(t, ({ method, path }, response) => {
    response.setHeader('content-type', 'application/json')
    const answer = (status: number, body: object) => void response.writeHead(status).end(JSON.stringify(body))
    if (path === '/livez') return answer(200, { status: 'ok' })
    if (method === 'POST' && path === '/rooms')
      return answer(201, { room, hostToken: 'secret', protected: false, hostId: EVIL })
    if (path.startsWith('/rooms?')) return answer(200, { rooms: [room] })
    if (path === '/rooms/LAB') return answer(200, { room })
    return answer(404, { error: path === '/rooms/NOPE99' ? 'Room not found' : `No such thing${EVIL}` })
  })
  return url
}

t.test('rooms: names, codes and counts stay in their line', async (t) => {
  const { code, stdout } = await machine(t).run(['rooms', '--hub', await startEvilHub(t)])
  t.equal(code, 0)
  t.notMatch(stdout, UNPRINTABLE)
  t.equal(stdout.split('\n').length, 2, 'one room, one line')
  t.match(stdout, `Lab${TAMED}`)
  t.match(stdout, '? participants')
})

t.test('rooms --json: a terminal that shows it obeys nothing, and a program reads what was said', async (t) => {
  const { stdout, json } = await machine(t).run(['rooms', '--json', '--hub', await startEvilHub(t)])
  t.notMatch(stdout, /[\u007F-\u009F\u202E\u200F]/)
  t.match(json()[0], { rooms: [{ name: ROOM.name }] })
})

t.test('create: no file leaves the state directory, and nobody’s rights are changed', async (t) => {
  const laptop = machine(t)
  const above = join(laptop.stateHome, 'a', 'b')
  const home = join(above, 'state')
  mkdirSync(home, { recursive: true, mode: 0o755 })
  for (const directory of [above, home]) chmodSync(directory, 0o755)
  const hub = await startEvilHub(t)
  const { code, stdout } = await laptop.run(['create', 'Lab', '--hub', hub], { env: { XDG_STATE_HOME: home } })
  t.equal(code, 0)
  t.notMatch(stdout, UNPRINTABLE)
  t.notMatch(stdout, /^potluck: /m)
  t.match(stdout, /its code is LAB\n/, 'the code is none but its letters')
  t.notMatch(stdout, '..')
  const kept = readdirSync(laptop.stateHome, { recursive: true, withFileTypes: true })
  const files = kept.filter((entry) => entry.isFile()).map(({ name, parentPath }) => join(parentPath, name))
  t.equal(files.length, 1)
  t.equal(dirname(files[0]!), join(home, 'potluck', 'rooms'))
  t.match(basename(files[0]!), /^LAB-[0-9a-f]{16}\.json$/)
  for (const directory of [above, home]) t.equal(statSync(directory).mode & 0o777, 0o755, directory)
})

t.test('what it says of a failure is one line', async (t) => {
  const hub = await startEvilHub(t)
  const { code, stderr } = await machine(t).run(['join', 'NOPE99', '--hub', hub])
  t.equal(code, 67)
  t.equal(stderr, `potluck: No room NOPE99 at ${hub}. There are LAB (Lab${TAMED} )\n`)
  const asked = await machine(t).run(['ask', 'OTHER9', 'hi', '--hub', hub])
  t.equal(asked.code, 1)
  t.equal(asked.stderr, `potluck: No such thing${TAMED} \n`)
})

const skip = noTerminal

t.test('join: the rooms that are offered, and the question for the password', { skip }, async (t) => {
  const hub = await startEvilHub(t, { ...ROOM, protected: true })
  const llm = await startFakeLlm(t, tells(FINDABLE.vllm!(['a'])))
  const terminal = onTerminal(t, ['join', '--hub', hub, '--endpoint', llm.url])
  await terminal.until(/Which room\?/)
  await terminal.until(/\(LAB, \? participants\)/)
  terminal.type('\r')
  await terminal.until(/Password of LAB/)
  t.notMatch(terminal.shown(), /\u001B\]0;|\u0007|\u009B|\u202E/)
  t.notMatch(terminal.shown(), /^potluck: /m)
  terminal.type('\u0003')
  t.equal(await terminal.exitCode, 130)
})
