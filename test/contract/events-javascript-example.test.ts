// The reference document's JavaScript example, run as it stands with the npm package `eventsource`.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { call, join, openRoom } from '../support/hub.ts'
import { startTimedHub } from '../support/manual-time.ts'

/** To the letter; a test puts in the hub's address and the room's code, and nothing else. */
const EXAMPLE = `const eventSource = new EventSource('http://localhost:3000/rooms/ABC123/events');

// Connection established
eventSource.addEventListener('connected', (event) => {
  const data = JSON.parse(event.data);
  console.log('Connected:', data.clientId);
});

// Participant joined
eventSource.addEventListener('participant:joined', (event) => {
  const participant = JSON.parse(event.data);
  console.log('Participant joined:', participant.nickname);
});

// Participant left
eventSource.addEventListener('participant:left', (event) => {
  const data = JSON.parse(event.data);
  console.log('Participant left:', data.participantId);
});

// Participant offline
eventSource.addEventListener('participant:offline', (event) => {
  const data = JSON.parse(event.data);
  console.log('Participant offline:', data.participantId);
});

// LLM request started
eventSource.addEventListener('llm:request', (event) => {
  const data = JSON.parse(event.data);
  console.log('LLM request:', data.participantId, data.model);
});

// LLM request failed
eventSource.addEventListener('llm:error', (event) => {
  const data = JSON.parse(event.data);
  console.error('LLM error:', data.participantId, data.error);
});

// Room created (global)
eventSource.addEventListener('room:created', (event) => {
  const room = JSON.parse(event.data);
  console.log('Room created:', room.name, room.code);
});

// Connection error
eventSource.onerror = (error) => {
  console.error('SSE error:', error);
  eventSource.close();
};
`

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface RunningExample {
  child: ChildProcessByStdio<Writable, Readable, Readable>
  /** Waits for a line that begins so, on either output. */
  prints(start: string): Promise<string>
}

/** Node has no EventSource unless asked for, so the package's stands in for the browser's. */
function runExample(t: Test, url: string, code: string): RunningExample {
  const script = EXAMPLE.replace('http://localhost:3000', url).replace('ABC123', code)
  const args = ['--input-type=module', '-']
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.end(`import { EventSource } from 'eventsource'\n${script}`)
  t.teardown(() => child.kill())
  return { child, prints: collectLines(child) }
}

function collectLines({ stdout, stderr }: RunningExample['child']): RunningExample['prints'] {
  let printed = ''
  const keep = (text: string) => {
    printed += text
  }
  for (const output of [stdout, stderr]) output.setEncoding('utf8').on('data', keep)
  return async (start) => {
    for (;;) {
      const line = printed.split('\n').find((candidate) => candidate.startsWith(start))
      if (line !== undefined) return line
      await Promise.race([once(stdout, 'data'), once(stderr, 'data')])
    }
  }
}

async function startExample(t: Test) {
  const timed = await startTimedHub(t)
  const { room } = await openRoom(timed.url)
  const example = runExample(t, timed.url, room.code)
  const connected = await example.prints('Connected: ')
  return { ...timed, ...example, connected, code: room.code, base: `${timed.url}/rooms/${room.code}` }
}

t.test("the example prints 'Connected:' and its client's id", async (t) => {
  t.match((await startExample(t)).connected, /^Connected: [0-9a-f-]{36}$/)
})

t.test("the example prints 'Participant joined:', 'offline:' and 'left:'", async (t) => {
  const { url, base, code, pass, prints } = await startExample(t)
  await join(url, code)
  t.equal(await prints('Participant joined:'), 'Participant joined: Alice')
  await pass(31_000)
  t.equal(await prints('Participant offline:'), 'Participant offline: alice')
  await call('DELETE', `${base}/leave/alice`)
  t.equal(await prints('Participant left:'), 'Participant left: alice')
})

t.test("the example prints 'LLM request:' and 'LLM error:'", async (t) => {
  const { url, base, code, prints } = await startExample(t)
  await join(url, code, { endpoint: 'http://127.0.0.1:1' })
  await call('POST', `${base}/v1/chat/completions`, { model: '*', messages: [] })
  t.equal(await prints('LLM request:'), 'LLM request: alice *')
  t.equal(await prints('LLM error:'), 'LLM error: alice Connection refused')
})

t.test("the example prints 'Room created:'", async (t) => {
  const { url, prints } = await startExample(t)
  const { room } = await openRoom(url, { name: 'My Team Room' })
  t.equal(await prints('Room created:'), `Room created: My Team Room ${room.code}`)
})

t.test("the example prints 'SSE error:' when the hub closes, and ends", async (t) => {
  const { hub, child, prints } = await startExample(t)
  const [[code]] = await Promise.all([once(child, 'exit'), prints('SSE error:'), hub.close()])
  t.equal(code, 0)
})

t.test("the example prints 'SSE error:' for a room that does not exist, and ends", async (t) => {
  const { url } = await startTimedHub(t)
  const { child, prints } = runExample(t, url, 'ABC123')
  const [[code]] = await Promise.all([once(child, 'exit'), prints('SSE error:')])
  t.equal(code, 0)
})
