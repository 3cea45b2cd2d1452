import t, { type Test } from 'tap'
import { machine } from '../support/cli.ts'
import { type Answerer, startFakeLlm } from '../support/fake-llm.ts'
import { openRoom } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { DEAD_URL } from '../support/table.ts'
import { kitchen, ollama } from './kit.ts'

/** Joins, and is refused. */
async function refused(t: Test, args: readonly string[], env: Record<string, string> = {}) {
  const { code, stderr, json } = await machine(t).run(['join', ...args], { env })
  t.match(json().at(-1), { event: 'error', exitCode: code, message: String }, 'programs are told too')
  t.notOk(json().some(({ event }) => event === 'state' || event === 'joined'))
  return { code, stderr }
}

t.test('an unknown code: those that exist are listed', async (t) => {
  const { hub, code, llm } = await kitchen(t)
  await openRoom(hub, { name: 'Secret', listed: false })
  const { code: exitCode, stderr } = await refused(t, ['NOPE99', '--hub', hub, '--endpoint', llm.url])
  t.equal(exitCode, 67)
  t.equal(stderr, `potluck: No room NOPE99 at ${hub}. There are ${code} (Kitchen)\n`)
})

t.test('no code, and nobody to ask', async (t) => {
  const { hub, llm } = await kitchen(t)
  const { code, stderr } = await refused(t, ['--hub', hub, '--endpoint', llm.url])
  t.equal(code, 64)
  t.match(stderr, 'Which room?')
})

t.test('a wrong password, and none', async (t) => {
  const { hub, code, llm } = await kitchen(t, { password: 'correct horse' })
  const args = [code, '--hub', hub, '--endpoint', llm.url, '--direct']
  for (const [more, said] of [
    [['--password', 'battery'], 'Invalid password'],
    [[], `${code} has a password: set POTLUCK_PASSWORD, or give it by --password`],
  ] as const) {
    const { code: exitCode, stderr } = await refused(t, [...args, ...more])
    t.equal(exitCode, 77)
    t.match(stderr, said)
    t.notMatch(stderr, 'battery')
  }
})

t.test('an endpoint where nothing listens', async (t) => {
  const { hub, code } = await kitchen(t)
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', DEAD_URL])
  t.equal(exitCode, 69)
  t.match(stderr, `No LLM server answers at ${DEAD_URL}: nothing listens there`)
})

t.test('an endpoint that answers and is no LLM server', async (t) => {
  const { hub, code } = await kitchen(t)
  const { url } = await startFakeLlm(t, tells({}))
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', url])
  t.equal(exitCode, 66)
  t.match(stderr, `${url} answers, but is no LLM server: GET /v1/models answered 404`)
})

t.test('an endpoint that is the hub', async (t) => {
  const { hub, code, join } = await kitchen(t)
  await join()
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', hub])
  t.equal(exitCode, 64)
  t.match(stderr, 'is a Potluck hub')
})

t.test('a server that wants a key says how to give it', async (t) => {
  const { hub, code } = await kitchen(t)
  const { url } = await startFakeLlm(t, (_request, response) => void response.writeHead(401).end())
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', url])
  t.equal(exitCode, 77)
  t.match(stderr, '--header @FILE, where the file says "Authorization: Bearer …"')
})

t.test('a server without models says how to get one', async (t) => {
  const { hub, code, llm } = await kitchen(t)
  llm.answer(ollama())
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', llm.url])
  t.equal(exitCode, 66)
  t.match(stderr, `Ollama at ${llm.url} has no model yet: fetch one, like \`ollama pull llama3.2:3b\``)
})

t.test('a model that is not there: those that are there are listed', async (t) => {
  const { hub, code, llm } = await kitchen(t)
  const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, '--endpoint', llm.url, '--model', 'gpt-5'])
  t.equal(exitCode, 66)
  t.equal(stderr, 'potluck: No model gpt-5 here. There are llama3.2:3b, qwen3:8b\n')
})

t.test('no hub: what was tried is said', async (t) => {
  const { llm } = await kitchen(t)
  const { port } = new URL(DEAD_URL)
  const named = await refused(t, ['K7QX2M', '--hub', `127.0.0.1:${port}`, '--endpoint', llm.url])
  t.equal(named.code, 69)
  t.match(named.stderr, `The hub at http://127.0.0.1:${port} can't be reached: nothing listens there`)
  const found = await refused(t, ['K7QX2M', '--endpoint', llm.url], { PORT: port })
  t.equal(found.code, 69)
  t.match(found.stderr, `http://localhost:${port}, https://localhost:${port}`)
  t.match(found.stderr, '--hub or POTLUCK_HUB')
})

t.test('something else answers where the hub should be', async (t) => {
  const { llm } = await kitchen(t)
  const { url } = await startFakeLlm(t, (_request, response) => void response.end('<html>'))
  const { code, stderr } = await refused(t, ['K7QX2M', '--hub', url, '--endpoint', llm.url])
  t.equal(code, 76)
  t.match(stderr, 'no Potluck hub')
})

t.test('an LLM server where the hub should be: every command says so', async (t) => {
  const { llm, laptop } = await kitchen(t)
  const named = `No Potluck hub at ${llm.url} (it looks like an LLM server: did you mean --endpoint?)\n`
  for (const args of [['join', 'K7QX2M'], ['create', 'Lab'], ['rooms'], ['ask', 'K7QX2M', 'hi']]) {
    const { code, stderr } = await laptop.run([...args, '--hub', llm.url])
    t.equal(code, 76, args.join(' '))
    t.equal(stderr, `potluck: ${named}`)
  }
  const found = await laptop.run(['rooms'], { env: { PORT: String(llm.port) } })
  t.equal(found.code, 76)
  t.match(found.stderr, 'it looks like an LLM server')
})

const STRANGERS: Record<string, Answerer> = {
  'sends one elsewhere': (_request, response) => void response.writeHead(302, { location: '/login' }).end(),
  'wants a key': (_request, response) => void response.writeHead(401).end('{"error":"Unauthorized"}'),
  'speaks no HTTP': (_request, response) => void response.socket?.end('SSH-2.0-OpenSSH_9.9\r\n'),
}

for (const [what, answerer] of Object.entries(STRANGERS)) {
  t.test(`something else answers where the hub should be, and ${what}`, async (t) => {
    const { url } = await startFakeLlm(t, answerer)
    const { code, stderr } = await machine(t).run(['rooms', '--hub', url])
    t.equal(code, 76)
    t.equal(stderr, `potluck: What answers at ${url} is no Potluck hub\n`)
  })
}

t.test('a hub at a port that no client connects to', async (t) => {
  const { code, stderr } = await machine(t).run(['rooms', '--hub', '127.0.0.1:9'])
  t.equal(code, 69)
  t.match(stderr, "The hub at http://127.0.0.1:9 can't be reached: it is at a port that neither browsers nor Node.js")
})

t.test('an id that is taken', async (t) => {
  const { hub, code, llm, join } = await kitchen(t)
  await join('--id', 'alice')
  const { code: exitCode, stderr } = await refused(t, [
    code,
    '--hub',
    hub,
    '--endpoint',
    llm.url,
    '--direct',
    '--id',
    'alice',
  ])
  t.equal(exitCode, 73)
  t.match(stderr, 'This participant id is in use')
})

t.test('an id for several servers', async (t) => {
  const { hub, code, llm } = await kitchen(t)
  const other = await startFakeLlm(t, tells(FINDABLE.vllm!(['b'])))
  const { code: exitCode } = await refused(t, [
    code,
    '--hub',
    hub,
    '--endpoint',
    llm.url,
    '--endpoint',
    other.url,
    '--id',
    'x',
  ])
  t.equal(exitCode, 64)
})

t.test('credentials without saying for whom, or where the hub would need them', async (t) => {
  const { hub, code, llm } = await kitchen(t)
  const header = ['--header', 'Authorization: Bearer sesame']
  for (const args of [header, [...header, '--endpoint', llm.url, '--direct']]) {
    const { code: exitCode, stderr } = await refused(t, [code, '--hub', hub, ...args])
    t.equal(exitCode, 64)
    t.notMatch(stderr, 'sesame')
  }
})

const NO_HEADERS: Record<string, string> = {
  'no name': 'sesame',
  'a line end': 'X-Key: sesame\r\nHost: evil',
  'a name that is not the owner’s': 'Host: sesame',
  'a file that is not there': '@/nowhere/key.txt',
}

for (const [what, header] of Object.entries(NO_HEADERS)) {
  t.test(`a header that is none: ${what}; it may be a secret, so it is not repeated`, async (t) => {
    const { code, stderr } = await refused(t, ['K7QX2M', '--endpoint', 'http://127.0.0.1:1', '--header', header])
    t.equal(code, 64)
    t.match(stderr, /^potluck: --header/)
    t.notMatch(stderr, 'sesame')
  })
}

t.test('POTLUCK_HEADERS: one that is none, and none to give them to', async (t) => {
  for (const [headers, said] of [
    ['X-Org: ours\nsesame', 'POTLUCK_HEADERS: a header is like "Name: value"'],
    ['Authorization: Bearer sesame', 'POTLUCK_HEADERS needs --endpoint'],
  ] as const) {
    const { code, stderr } = await refused(t, ['K7QX2M'], { POTLUCK_HEADERS: headers })
    t.equal(code, 64)
    t.match(stderr, said)
    t.notMatch(stderr, 'sesame')
  }
})

const WRONG: Record<string, string[]> = {
  'an unknown option': ['--speed', '9'],
  'a number that is none': ['--slots', 'many'],
  'no slots': ['--slots', '0'],
  'an id that is none': ['--id', 'a/b'],
  'a nickname that is too long': ['--nickname', 'x'.repeat(61)],
}

for (const [what, args] of Object.entries(WRONG)) {
  t.test(`the command line is wrong: ${what}`, async (t) => {
    const { code, stderr } = await machine(t).run(['join', 'K7QX2M', ...args])
    t.equal(code, 64)
    t.match(stderr, /^error: .*\nSee potluck join --help\n$/, 'two lines')
  })
}

t.test('an endpoint and a hub that are no URLs', async (t) => {
  const { hub, code } = await kitchen(t)
  t.equal((await refused(t, [code, '--hub', hub, '--endpoint', 'http://'])).code, 64)
  t.equal((await refused(t, [code, '--hub', 'http://a b'])).code, 64)
  const endpoint = await refused(t, [code, '--hub', hub, '--endpoint', 'ftp://127.0.0.1'])
  t.equal(endpoint.code, 64)
  t.match(endpoint.stderr, '--endpoint ftp://127.0.0.1 is no address of an LLM server')
  const ftp = await refused(t, [code, '--hub', 'ftp://127.0.0.1'])
  t.equal(ftp.code, 64)
  t.match(ftp.stderr, 'ftp://127.0.0.1 is no address of a hub: give it like http://')
})

t.test('an unknown command, and help', async (t) => {
  const { code, stderr } = await machine(t).run(['jion'])
  t.equal(code, 64)
  t.equal(stderr, "error: unknown command 'jion' (Did you mean join?)\nSee potluck --help\n")
  const { stderr: started } = await machine(t).run(['serve', '--prot'], { env: { npm_lifecycle_event: 'start' } })
  t.equal(started, "error: unknown option '--prot' (Did you mean --port?)\nSee npm start -- --help\n")
  const { stderr: inClone } = await machine(t).run(['ask'], { env: { npm_lifecycle_event: 'potluck' } })
  t.equal(inClone, "error: missing required argument 'code'\nSee npm run potluck -- ask --help\n")
  for (const command of ['join', 'create', 'rooms', 'leave', 'ask', 'pause', 'resume']) {
    const { code, stdout } = await machine(t).run([command, '--help'])
    t.equal(code, 0, command)
    t.match(stdout, /--json[\s\S]*Examples:\n {2}\$ potluck /, command)
  }
})
