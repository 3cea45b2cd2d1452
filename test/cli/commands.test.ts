import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import t, { type Test } from 'tap'
import { hubFromLan } from '../../src/cli/lan.ts'
import { eventually, is, machine } from '../support/cli.ts'
import { answerBrokenStream, answerNever, answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call, openRoom, startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { bearer } from '../support/managed.ts'
import { kitchen } from './kit.ts'

t.test('create opens a room, and keeps its host’s token where only its owner reads it', async (t) => {
  const { url } = await startHub(t)
  const laptop = machine(t)
  const { code, stdout, stderr } = await laptop.run(['create', 'Friday kitchen', '--hub', url])
  t.equal(code, 0)
  t.equal(stderr, '')
  const [, roomCode = ''] = /its code is ([A-Z0-9]{6})/.exec(stdout) ?? []
  t.match(stdout, `potluck join ${roomCode} --hub ${url}`)
  t.match(stdout, `OpenAI base URL ${url}/rooms/${roomCode}/v1`)
  const lanHub = hubFromLan(url)
  if (lanHub !== undefined) {
    t.match(stdout, `  potluck join ${roomCode} --hub ${lanHub}\n  OpenAI base URL ${lanHub}/rooms/${roomCode}/v1\n`)
  } else t.notMatch(stdout, 'On other machines')
  const [, file = ''] = /your token is kept in (.*)/.exec(stdout) ?? []
  t.equal(statSync(file).mode & 0o777, 0o600)
  const { hostToken } = JSON.parse(readFileSync(file, 'utf8')) as { hostToken: string }
  t.notMatch(stdout, hostToken)
  t.equal((await call('PATCH', `${url}/rooms/${roomCode}`, { name: 'Mine' }, bearer(hostToken))).status, 200)
})

t.test('create with all it can say, as JSON', async (t) => {
  const { url } = await startHub(t)
  const env = { POTLUCK_PASSWORD: 'correct horse' }
  const { code, stdout, json } = await machine(t).run(
    ['create', 'Lab', '--code', 'lab42', '--no-listed', '--json', '--hub', url],
    { env },
  )
  t.equal(code, 0)
  t.match(json()[0], {
    hub: url,
    lanHub: hubFromLan(url),
    room: { code: 'LAB42', name: 'Lab' },
    protected: true,
    baseUrl: `${url}/rooms/LAB42/v1`,
    hostTokenFile: /LAB42/,
  })
  t.notMatch(stdout, 'correct horse')
  t.match((await call('GET', `${url}/rooms/LAB42`)).body, { room: { listed: false, protected: true } })
})

t.test('create: a code that is taken, a name that is none, a hub that wants its admin', async (t) => {
  const { url } = await startHub(t, { adminToken: 'a'.repeat(16) })
  const env = { POTLUCK_ADMIN_TOKEN: 'a'.repeat(16) }
  t.equal((await machine(t).run(['create', 'Lab', '--hub', url])).code, 77)
  t.equal((await machine(t).run(['create', 'Lab', '--code', 'LAB42', '--hub', url], { env })).code, 0)
  t.equal((await machine(t).run(['create', 'Lab', '--code', 'LAB42', '--hub', url], { env })).code, 73)
  const { code, stderr } = await machine(t).run(['create', 'x'.repeat(81), '--hub', url], { env })
  t.equal(code, 64)
  t.match(stderr, /^potluck: name must be/)
})

t.test('rooms lists those that are listed', async (t) => {
  const { url } = await startHub(t)
  const laptop = machine(t)
  t.match((await laptop.run(['rooms', '--hub', url])).stdout, 'No room is listed')
  const { room } = await openRoom(url, { name: 'Kitchen' })
  await openRoom(url, { name: 'Secret', listed: false })
  t.equal((await laptop.run(['rooms', '--hub', url])).stdout, `${room.code}  Kitchen  0 participants\n`)
  t.match((await laptop.run(['rooms', '--hub', url, '--json'])).json(), [{ hub: url, rooms: [{ code: room.code }] }])
})

t.test('ask streams the answer, and says who gave it and how fast', async (t) => {
  const { hub, code, llm, laptop, join } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(['Soup', ' of\n', 'the day'], { pauseMs: 100 })))
  await join()
  const { code: exitCode, stdout, stderr } = await laptop.run(['ask', code, 'What is there?', '--hub', hub])
  t.equal(exitCode, 0)
  t.equal(stdout, 'Soup of\nthe day\n')
  t.match(stderr, /^alice-ollama \(a\): 3 tokens in \d+\.\d\d s, \d+(\.\d)? tokens\/s, the first after \d+\.\d\d s\n$/)
  t.match(JSON.parse(llm.requests.at(-1)!.body.toString()), { messages: [{ role: 'user', content: 'What is there?' }] })
})

t.test('ask reads the prompt from standard input', async (t) => {
  const { hub, code, llm, laptop, join } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(['yes'])))
  await join()
  for (const more of [['-'], []]) {
    const { stdout, json } = await laptop.run(['ask', code, ...more, '--hub', hub, '--json', '--model', 'a'], {
      input: 'From a pipe: ü',
    })
    t.match(
      json(),
      [
        {
          text: 'yes',
          participant: 'alice-ollama',
          model: 'a',
          ttftMs: Number,
          durationMs: Number,
          inputTokens: 7,
          outputTokens: 3,
        },
      ],
      stdout,
    )
    t.match(JSON.parse(llm.requests.at(-1)!.body.toString()), { model: 'a', messages: [{ content: 'From a pipe: ü' }] })
  }
  t.equal((await laptop.run(['ask', code, '--hub', hub], { input: ' \n' })).code, 64)
})

t.test('ask: what can go wrong has its exit code', async (t) => {
  const { hub, code, llm, laptop, join } = await kitchen(t, { password: 'correct horse' })
  const env = { POTLUCK_PASSWORD: 'correct horse', POTLUCK_HUB: hub }
  const ask = (...args: string[]) => laptop.run(['ask', ...args], { env })
  t.equal((await ask('NOPE99', 'hi')).code, 67)
  t.equal((await ask(code, 'hi', '--password', 'battery')).code, 77)
  const open = await laptop.run(['ask', code, 'hi', '--hub', hub])
  t.equal(open.code, 77)
  t.equal(open.stderr, `potluck: ${code} has a password: set POTLUCK_PASSWORD, or give it by --password\n`)
  const empty = await ask(code, 'hi')
  t.equal(empty.code, 66)
  t.equal(empty.stderr, `potluck: Nobody is in ${code} yet: bring a model by \`potluck join ${code}\`\n`)
  await join('--password', 'correct horse')
  const unknown = await ask(code, 'hi', '--model', 'gpt-5')
  t.equal(unknown.code, 66)
  t.equal(unknown.stderr, `potluck: Nobody in ${code} offers gpt-5. There are llama3.2:3b, qwen3:8b\n`)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerBrokenStream(['half'])))
  const broken = await ask(code, 'hi')
  t.equal(broken.code, 1)
  t.match(broken.stdout, 'half')
  t.match(broken.stderr, /^potluck: ./)
})

t.test('ask: who has paused or is offline is named, with what there is besides', async (t) => {
  const { hub, room, code, laptop, join } = await kitchen(t)
  const alice = await join()
  const ask = (...args: string[]) => laptop.run(['ask', code, 'hi', '--hub', hub, ...args])
  await room.changeParticipant('alice-ollama', { paused: true }, room.hostToken)
  const paused = await ask()
  t.equal(paused.code, 75)
  t.equal(paused.stderr, 'potluck: Nobody can answer now: alice-ollama has paused. No model is there now\n')
  alice.child.kill('SIGKILL')
  await eventually(
    () => room.look('alice-ollama'),
    ({ body }) => body.participant.status === 'offline',
  )
  const { llm } = await startOther(t, hub, code)
  await room.change({ aliases: { fast: 'phi4' } })
  const away = await ask('--model', 'qwen3:8b')
  t.equal(away.code, 75)
  t.equal(away.stderr, 'potluck: Nobody can answer now: alice-ollama is offline. There are phi4, fast\n')
  llm.answer(tells(FINDABLE.ollama!(['phi4']), (_request, response) => void response.destroy()))
  const dead = await ask('--model', 'phi4')
  t.equal(dead.code, 69, 'its LLM server is dead')
  t.match(dead.stderr, 'Failed to proxy request: Bob (bob-ollama): Connection closed')
  const refusal = JSON.stringify({ error: { message: 'the runner has crashed' } })
  llm.answer(tells(FINDABLE.ollama!(['phi4']), (_request, response) => void response.writeHead(500).end(refusal)))
  const failed = await ask('--model', 'phi4')
  t.equal(failed.code, 1)
  t.equal(failed.stderr, 'potluck: bob-ollama: the runner has crashed\n')
})

/** Bob's machine, with the model phi4. */
async function startOther(t: Test, hub: string, code: string) {
  const llm = await startFakeLlm(t, tells(FINDABLE.ollama!(['phi4'])))
  const bob = machine(t).start(['join', code, '--hub', hub, '--endpoint', llm.url, '--no-specs', '--nickname', 'Bob'])
  await bob.until(is('joined'))
  return { llm }
}

t.test('ask: whoever reads the answer has seen enough: quiet, and the request is cancelled', async (t) => {
  const { hub, code, llm, laptop, join } = await kitchen(t)
  const words = Array.from({ length: 1000 }, () => 'word ')
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(words, { pauseMs: 20 })))
  await join()
  const asking = laptop.start(['ask', code, 'hi', '--hub', hub])
  await once(asking.child.stdout!, 'data')
  asking.child.stdout?.destroy()
  const { code: exitCode, stderr } = await asking.ended
  t.equal(exitCode, 0)
  t.equal(stderr, '')
  const chat = llm.requests.find(({ path }) => path === '/v1/chat/completions')!
  await chat.closed
  t.ok(chat.aborted)
})

t.test('create: nobody reads what it prints: quiet, and the room is there', async (t) => {
  const { url } = await startHub(t)
  const creating = machine(t).start(['create', 'Lab', '--code', 'LAB42', '--hub', url])
  creating.child.stdout?.destroy()
  const { code, stderr } = await creating.ended
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match((await call('GET', `${url}/rooms/LAB42`)).body, { room: { name: 'Lab' } })
})

t.test('ask: Ctrl-C cancels the request at the participant', async (t) => {
  const { hub, code, llm, laptop, join } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerNever))
  await join()
  const asking = laptop.start(['ask', code, 'hi', '--hub', hub])
  const chats = () => llm.requests.filter(({ path }) => path === '/v1/chat/completions')
  await eventually(chats, ({ length }) => length === 1)
  asking.child.kill('SIGINT')
  t.equal((await asking.ended).code, 130)
  await chats()[0]!.closed
  t.ok(chats()[0]!.aborted)
})

t.test('pause and resume by the token that is kept here; a running join shows it', async (t) => {
  const { room, code, hub, laptop, join } = await kitchen(t)
  const alice = await join()
  const paused = await laptop.run(['pause', code.toLowerCase()])
  t.equal(paused.code, 0)
  t.match(paused.stdout, `alice-ollama is paused (room ${code} at `)
  t.match((await room.look('alice-ollama')).body.participant, { status: 'busy', paused: true })
  t.equal((await room.chat()).status, 503)
  await alice.until(is('state', { state: 'paused' }))
  t.match((await laptop.run(['resume', '--json'])).json(), [{ participantId: 'alice-ollama', code, paused: false }])
  t.equal((await room.chat()).status, 200)
  const other = await laptop.run(['pause', code, '--id', 'other'])
  t.equal(other.code, 67)
  const there = `There is alice-ollama (room ${code} at ${hub})`
  t.equal(
    other.stderr,
    `potluck: Nothing to pause: nothing has joined room ${code} as other from this machine. ${there}\n`,
  )
})

for (const deed of ['leave', 'pause', 'resume']) {
  t.test(`${deed} where nothing has joined: it says so, and ends with 67`, async (t) => {
    const { code, stderr, json } = await machine(t).run([deed, '--json'])
    t.equal(code, 67)
    t.equal(stderr, `potluck: Nothing to ${deed}: nothing has joined from this machine\n`)
    t.match(json(), [{ event: 'error', exitCode: 67 }])
  })
}

t.test('leave takes it out of the room, and a running join ends', async (t) => {
  const { room, code, hub, laptop, join } = await kitchen(t)
  const alice = await join()
  t.equal((await laptop.run(['leave', 'OTHER1'])).code, 67)
  const left = await laptop.run(['leave', '--json'])
  t.match(left.json(), [{ participantId: 'alice-ollama', code, hub, left: true }])
  t.equal((await room.look('alice-ollama')).status, 404)
  t.equal((await alice.ended).code, 0)
  t.equal((await laptop.run(['leave'])).code, 67)
})

t.test('leave, where the room is gone meanwhile or the hub is away', async (t) => {
  const { room, laptop, join } = await kitchen(t)
  const alice = await join()
  alice.child.kill('SIGKILL')
  await alice.ended
  await room.close()
  const { code, stdout } = await laptop.run(['leave'])
  t.equal(code, 0)
  t.match(stdout, 'alice-ollama was not there any more')
})
