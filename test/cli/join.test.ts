import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { eventually, is, machine } from '../support/cli.ts'
import { answerNever, answerStream, startFakeLlm } from '../support/fake-llm.ts'
import { call } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { startRequest } from '../support/managed.ts'
import { kitchen, ollama, standBefore } from './kit.ts'

const asParticipants = (body: unknown) => (body as { participants: Record<string, unknown>[] }).participants

t.test('join, serve, Ctrl-C: each event one object a line, exit code 0, and it has left', async (t) => {
  const { hub, room, code, llm, join } = await kitchen(t)
  const alice = await join()
  const joined = alice.events().find(is('joined'))
  t.match(joined, {
    time: /^\d{4}-\d\d-\d\dT/,
    participantId: 'alice-ollama',
    nickname: 'Alice',
    kind: 'ollama',
    server: llm.url,
    models: ['llama3.2:3b', 'qwen3:8b'],
    room: { code, name: 'Kitchen' },
    baseUrl: `${hub}/rooms/${code}/v1`,
    via: 'tunnel',
  })
  await alice.until(is('state', { state: 'online' }))
  t.equal((await room.chat({ model: 'qwen3:8b' })).body.choices?.[0]?.message.content, 'served')
  alice.child.kill('SIGINT')
  const { code: exitCode, stderr } = await alice.ended
  t.equal(exitCode, 0)
  t.equal(stderr, '')
  t.match(alice.events().at(-1), { event: 'left', participantId: 'alice-ollama', reason: 'asked' })
  t.equal((await room.look('alice-ollama')).status, 404)
})

t.test('SIGTERM leaves as Ctrl-C does', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join()
  alice.child.kill('SIGTERM')
  t.equal((await alice.ended).code, 0)
  t.equal((await room.look('alice-ollama')).status, 404)
})

t.test('whoever reads its output goes away: it leaves', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join()
  alice.child.stdout?.destroy()
  await room.changeParticipant('alice-ollama', { paused: true }, room.hostToken)
  await once(alice.child, 'exit')
  t.equal((await room.look('alice-ollama')).status, 404)
})

t.test('what runs when it leaves is finished', async (t) => {
  const { room, llm, join } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(['one ', 'two ', 'three '], { pauseMs: 200 })))
  const alice = await join()
  const answer = await startRequest(t, `${room.base}/v1/chat/completions`, { model: '*', stream: true, messages: [] })
  await answer.until('one ')
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 0)
  const { complete, text } = await answer.ended
  t.ok(complete)
  t.match(text, /three [\s\S]*\[DONE\]/)
})

t.test('Ctrl-C twice ends at once, whatever runs; the next join is the same participant, and not paused', async (t) => {
  const { room, llm, join } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerNever))
  const alice = await join()
  const answer = room.chat({ model: 'a' })
  await alice.until(is('served', { running: 1 }))
  alice.child.kill('SIGINT')
  t.match(await alice.until(is('notice')), { message: 'Finishing 1 running; Ctrl-C again ends at once' })
  await eventually(
    () => room.look('alice-ollama'),
    ({ body }) => body.participant.paused === true,
  )
  t.equal(alice.child.exitCode, null)
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 130)
  t.equal((await answer).status, 502)
  await join()
  t.match((await room.look('alice-ollama')).body.participant, { status: 'online', paused: undefined })
})

t.test('every option that the room sees', async (t) => {
  const { room, code, hub, llm, laptop } = await kitchen(t)
  const more = ['--model', 'qwen3:8b', '--nickname', 'Zoë', '--id', 'zoe.1', '--slots', '3']
  const zoe = laptop.start([
    'join',
    code,
    '--hub',
    hub,
    '--endpoint',
    `${llm.url}/v1`,
    '--direct',
    ...more,
    '--no-keep-awake',
  ])
  await zoe.until(is('joined'))
  const { participant } = (await room.look('zoe.1')).body
  t.match(participant, { id: 'zoe.1', nickname: 'Zoë', models: ['qwen3:8b'], slots: 3, endpoint: llm.url })
  t.ok(participant.specs.ram, 'what the machine is made of')
})

t.test('--model may stand several times; --no-specs tells nothing of the machine', async (t) => {
  const { room, llm, join } = await kitchen(t)
  llm.answer(ollama('a:latest', 'b', 'c'))
  await join('--model', 'c', '--model', 'a')
  const { participant } = (await room.look('alice-ollama')).body
  t.same(participant.models, ['c', 'a:latest'])
  t.same(participant.specs, {})
})

t.test('the room by its URL, in any case of its code', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t)
  const alice = laptop.start(['join', `${hub}/rooms/${code.toLowerCase()}/v1`, '--endpoint', llm.url, '--direct'])
  t.match(await alice.until(is('joined')), { room: { code } })
})

t.test('POTLUCK_HUB and POTLUCK_PASSWORD say where and what', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t, { password: 'correct horse' })
  const env = { POTLUCK_HUB: hub, POTLUCK_PASSWORD: 'correct horse' }
  const alice = laptop.start(['join', code, '--endpoint', llm.url, '--direct'], { env })
  await alice.until(is('joined'))
  t.notMatch(alice.stdout() + alice.stderr(), 'correct horse')
})

t.test('a hub on this machine is found by PORT', async (t) => {
  const { hub, code, llm, laptop } = await kitchen(t)
  const env = { PORT: new URL(hub).port }
  await laptop.start(['join', code, '--endpoint', llm.url, '--direct'], { env }).until(is('joined'))
})

t.test('several servers are a participant each; one that is away leaves the others', async (t) => {
  const { room, llm, join } = await kitchen(t)
  const other = await startFakeLlm(t, tells(FINDABLE.lmstudio!(['phi4'])))
  const alice = await join('--endpoint', other.url)
  await alice.until(is('joined', { participantId: 'alice-lmstudio' }))
  const { body } = await call('GET', `${room.base}/participants`)
  t.same(
    asParticipants(body).map(({ id, models }) => [id, models]),
    [
      ['alice-ollama', ['llama3.2:3b', 'qwen3:8b']],
      ['alice-lmstudio', ['phi4']],
    ],
  )
  llm.answer((_request, response) => void response.destroy())
  await alice.until(is('state', { state: 'away', participantId: 'alice-ollama' }))
  t.equal((await room.chat({ model: 'phi4' })).status, 200)
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 0)
  t.same(asParticipants((await call('GET', `${room.base}/participants`)).body), [])
})

t.test('two at once on one machine: the second is told which process is there', async (t) => {
  const { code, hub, llm, laptop, join } = await kitchen(t)
  const alice = await join()
  const second = await laptop.run(['join', code, '--hub', hub, '--endpoint', llm.url, '--direct'])
  t.equal(second.code, 75)
  t.match(second.stderr, `${llm.url} is in ${code} already: process ${alice.child.pid} of this machine holds it. `)
  t.match(second.stderr, `end it by \`potluck leave ${code}\` and join again`)
  t.equal((await laptop.run(['leave', code])).code, 0)
  t.equal((await alice.ended).code, 0)
  await join()
  t.match(second.json()[0], { event: 'error', exitCode: 75 })
})

t.test('killed and joined again it is the same participant, with the same token', async (t) => {
  const { room, laptop, join } = await kitchen(t)
  const alice = await join()
  const folder = `${laptop.stateHome}/potluck/participants`
  const tokens = () =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
  const [before] = tokens()
  alice.child.kill('SIGKILL')
  await alice.ended
  const again = await join('--nickname', 'Alice again')
  t.match(again.events().find(is('joined')), { participantId: 'alice-ollama' })
  t.match(tokens(), [JSON.parse(before!).token])
  const { body } = await call('GET', `${room.base}/participants`)
  t.equal(asParticipants(body).length, 1)
})

t.test('the token is in no output', async (t) => {
  const { laptop, join } = await kitchen(t)
  const alice = await join()
  const folder = `${laptop.stateHome}/potluck/participants`
  const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.json'))
  const { token } = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as { token: string }
  alice.child.kill('SIGINT')
  const { stdout, stderr } = await alice.ended
  t.ok(token.length > 20)
  t.notOk(`${stdout}${stderr}`.includes(token))
})

t.test('the host removes it: it ends with 77', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join()
  await alice.until(is('served'))
  await call('DELETE', `${room.base}/participants/alice-ollama`, undefined, room.asHost)
  const { code } = await alice.ended
  t.equal(code, 77)
  t.match(alice.events().at(-1), { event: 'left', reason: 'removed' })
})

t.test('a model that appears is announced within 15 s, and who was killed is back when its server is', async (t) => {
  const { room, llm, join } = await kitchen(t)
  const alice = await join()
  llm.answer(ollama('llama3.2:3b', 'new'))
  t.match(await alice.until(is('models'), 15_000), {
    models: ['llama3.2:3b', 'new'],
    added: ['new'],
    removed: ['qwen3:8b'],
  })
  t.same((await room.look('alice-ollama')).body.participant.models, ['llama3.2:3b', 'new'])
})

t.test('another machine with the same names gets an id of its own', async (t) => {
  const { code, hub, llm, join } = await kitchen(t)
  await join()
  const other = machine(t).start(['join', code, '--hub', hub, '--endpoint', llm.url, '--direct', '--nickname', 'Alice'])
  t.match(await other.until(is('joined')), { participantId: /^alice-ollama-[a-z2-9]{4}$/ })
})

t.test('the hub fails for a while: it is tried again', async (t) => {
  const { code, hub, llm, laptop } = await kitchen(t)
  let failures = 2
  const proxy = await standBefore(t, hub, ({ method, path }, response) => {
    if (method !== 'POST' || !path.endsWith('/join') || failures === 0) return false
    failures -= 1
    response.writeHead(500).end('{"error":"The hub failed at this request; its log says why"}')
    return true
  })
  const alice = laptop.start(['join', code, '--hub', proxy.url, '--endpoint', llm.url, '--direct', '--no-specs'])
  await alice.until(is('joined'), 60_000)
  t.equal(alice.events().filter(is('notice')).length, 2)
  t.equal(failures, 0)
})

t.test('a process that was stopped goes on where it was', async (t) => {
  const { room, join } = await kitchen(t)
  const alice = await join()
  alice.child.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  alice.child.kill('SIGCONT')
  alice.child.kill('SIGINT')
  t.equal((await alice.ended).code, 0)
  await eventually(
    () => room.look('alice-ollama'),
    ({ status }) => status === 404,
  )
})
