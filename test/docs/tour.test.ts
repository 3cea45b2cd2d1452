import { readFileSync } from 'node:fs'
import t from 'tap'
import { PLACEHOLDERS, readSteps } from '../../docs/readme.ts'

const README = readFileSync('README.md', 'utf8')
const TRANSCRIPT = readFileSync('docs/tour.md', 'utf8')
const steps = readSteps(README)

/** The transcript with the README's examples in place of what was filled in. */
function asInReadme(transcript: string): string {
  return transcript
    .replaceAll(/http:\/\/localhost:\d+\/rooms/g, `${PLACEHOLDERS.hub}/rooms`)
    .replaceAll(/(\/rooms\/| join | ask )[A-Z0-9]{6}/g, `$1${PLACEHOLDERS.code}`)
    .replaceAll(/(?<="endpoint": ")[^"]+/g, PLACEHOLDERS.endpoint)
    .replaceAll('potluck-test', PLACEHOLDERS.model)
}

t.test('the tour starts the hub, uses the room by curl and by a program, and leaves', async (t) => {
  const names = steps.map(({ name }) => name)
  t.same(names, [
    'start',
    'open',
    'room',
    'watch',
    'join',
    'chat',
    'stream',
    'models',
    'chat.mjs',
    'client',
    'ask',
    'leave',
  ])
})

t.test("the transcript shows the README's commands as they stand there, in their order", async (t) => {
  const transcript = asInReadme(TRANSCRIPT)
  const positions = steps.map(({ language, text }) => transcript.indexOf(`\`\`\`${language}\n${text}\n\`\`\``))
  for (const [index, { name }] of steps.entries()) t.not(positions[index], -1, name)
  t.same(
    positions,
    positions.toSorted((left, right) => left - right),
  )
})

t.test("the README's two commands are there", async (t) => {
  t.match(README, '```sh\nnpm ci && npm start\n```')
  t.match(README, '```sh\nnpm ci && npm test\n```')
})
