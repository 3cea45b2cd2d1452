import t, { type Test } from 'tap'
import { machine } from '../support/cli.ts'
import { answerNever } from '../support/fake-llm.ts'
import { openRoom, startHub } from '../support/hub.ts'
import { FINDABLE, tells } from '../support/llm-kinds.ts'
import { noTerminal, onTerminal } from '../support/terminal.ts'
import { kitchen } from './kit.ts'

const skip = noTerminal
const CTRL_C = '\u0003'
const ENTER = '\r'

t.test('the live line: what it did, how it stands; p pauses and resumes, q leaves', { skip }, async (t) => {
  const { hub, room, code, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url, '--direct', '--nickname', 'Alice'])
  await terminal.until(
    /Joined Kitchen \(\w+\) as alice-ollama with llama3\.2:3b, qwen3:8b\. OpenAI base URL: http\S+\/v1\r\n/,
  )
  await terminal.until(/online · 0 requests served · 0 running · \[p\] pause {2}\[q\] leave/)
  terminal.type('p')
  await terminal.until(/alice-ollama is paused/)
  await terminal.until(/paused · .* \[p\] resume/)
  t.match((await room.look('alice-ollama')).body.participant, { paused: true })
  terminal.type('p')
  await terminal.until(/online · /)
  t.equal((await room.look('alice-ollama')).body.participant.paused, undefined)
  terminal.type('q')
  t.equal(await terminal.exitCode, 0)
  t.equal((await room.look('alice-ollama')).status, 404)
})

t.test('Ctrl-C leaves', { skip }, async (t) => {
  const { hub, room, code, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url, '--direct', '--id', 'alice'])
  await terminal.until(/\[q\] leave/)
  terminal.type(CTRL_C)
  t.equal(await terminal.exitCode, 0)
  t.equal((await room.look('alice')).status, 404)
})

t.test('requests that were served are counted', { skip }, async (t) => {
  const { hub, room, code, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url, '--direct'])
  await terminal.until(/\[q\] leave/)
  t.equal((await room.chat()).status, 200)
  await terminal.until(/1 request served/)
})

t.test('while it leaves the only key is the one that ends at once', { skip }, async (t) => {
  const { hub, room, code, llm } = await kitchen(t)
  llm.answer(tells(FINDABLE.ollama!(['a']), answerNever))
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url])
  await terminal.until(/\[q\] leave/)
  const answer = room.chat().catch(() => undefined)
  await terminal.until(/1 running · 0\.0 tokens\/s/)
  terminal.type('q')
  await terminal.until(/leaving · [^[]*\[Ctrl-C\] end at once/)
  terminal.type(CTRL_C)
  t.equal(await terminal.exitCode, 130)
  await answer
})

t.test('the room is gone: it says what would bring it back', { skip }, async (t) => {
  const { hub, room, code, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url])
  await terminal.until(/\[q\] leave/)
  await room.close()
  await terminal.until(new RegExp(`waiting for the room: .*\`potluck create NAME --code ${code}\``))
  terminal.type('q')
  t.equal(await terminal.exitCode, 0)
})

t.test('--json is for programs on a terminal too', { skip }, async (t) => {
  const { hub, code, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url, '--direct', '--json'])
  await terminal.until(/"event":"joined"/)
  terminal.type(CTRL_C)
  t.equal(await terminal.exitCode, 0)
})

/** A question that was asked before has not made it deaf. */
async function hearsKeys(t: Test, terminal: ReturnType<typeof onTerminal>): Promise<void> {
  await terminal.until(/online/)
  terminal.type(CTRL_C)
  t.equal(await terminal.exitCode, 0)
}

t.test('no code: the rooms are offered, and one is chosen by its number', { skip }, async (t) => {
  const { hub, llm, code } = await kitchen(t)
  const { room } = await openRoom(hub, { name: 'Second' })
  const terminal = onTerminal(t, ['join', '--hub', hub, '--endpoint', llm.url, '--direct'])
  await terminal.until(/Which room\?/)
  await terminal.until(new RegExp(`Kitchen \\(${code}, 0 participants\\)`))
  terminal.type('2')
  terminal.type(ENTER)
  await terminal.until(new RegExp(`Joined Second \\(${room.code}\\)`))
  await hearsKeys(t, terminal)
})

t.test('no code, and no room: it says how to open one', { skip }, async (t) => {
  const { url } = await startHub(t)
  const terminal = onTerminal(t, ['join', '--hub', url, '--endpoint', 'http://127.0.0.1:1'])
  await terminal.until(/potluck create NAME/)
  t.equal(await terminal.exitCode, 67)
})

t.test('a wrong password is asked for again, and is not shown', { skip }, async (t) => {
  const { hub, code, llm } = await kitchen(t, { password: 'correct horse' })
  const terminal = onTerminal(t, ['join', code, '--hub', hub, '--endpoint', llm.url, '--direct'])
  await terminal.until(/Password of \w+/)
  terminal.type(`battery${ENTER}`)
  await terminal.until(/That is not the password\./)
  await terminal.until(/Password of \w+/)
  terminal.type(`correct horse${ENTER}`)
  await terminal.until(/Joined Kitchen/)
  t.notMatch(terminal.shown(), /battery|correct horse/)
  await hearsKeys(t, terminal)
})

t.test('Ctrl-C at a question ends at once', { skip }, async (t) => {
  const { hub, llm } = await kitchen(t)
  const terminal = onTerminal(t, ['join', '--hub', hub, '--endpoint', llm.url])
  await terminal.until(/Which room\?/)
  terminal.type(CTRL_C)
  t.equal(await terminal.exitCode, 130)
})

t.test('ask: what a model says can’t play with the terminal', { skip }, async (t) => {
  const { hub, code, llm, join } = await kitchen(t)
  const { answerStream } = await import('../support/fake-llm.ts')
  llm.answer(tells(FINDABLE.ollama!(['a']), answerStream(['safe\u0007\u009B31m', '\u001B]0;title\u0007 text'])))
  await join()
  const terminal = onTerminal(t, ['ask', code, 'hi', '--hub', hub])
  t.equal(await terminal.exitCode, 0)
  t.match(terminal.shown(), 'safe31m]0;title text')
})

t.test('without a terminal nothing is asked', async (t) => {
  const { hub, code, llm } = await kitchen(t, { password: 'correct horse' })
  const { code: exitCode } = await machine(t).run(['join', code, '--hub', hub, '--endpoint', llm.url, '--direct'])
  t.equal(exitCode, 77)
})
