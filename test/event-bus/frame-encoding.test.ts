import t from 'tap'
import { encodeBody, encodeComment, encodeId } from '../../plugins/event-bus/frames.ts'

const LINE_ENDS = ['\n', '\r', '\r\n', 'a\n', '\ra', 'a\nevent: b']

t.test('an id with a line end is refused', async (t) => {
  for (const id of LINE_ENDS) t.throws(() => encodeId(id), TypeError, JSON.stringify(id))
  t.equal(encodeId('epoch.1.2'), 'id: epoch.1.2\n')
})

t.test('an event’s name with a line end is refused', async (t) => {
  for (const name of LINE_ENDS) t.throws(() => encodeBody(name, {}), TypeError, JSON.stringify(name))
  t.equal(encodeBody('gap', { reason: 'x' }), 'event: gap\ndata: {"reason":"x"}\n\n')
})

t.test('data is one line, whatever it holds', async (t) => {
  const body = encodeBody('gap', { reason: 'a\r\n\nb' })
  t.equal(body, 'event: gap\ndata: {"reason":"a\\r\\n\\nb"}\n\n')
})

t.test('a comment’s line ends become spaces', async (t) => {
  t.equal(encodeComment('a\r\n\nevent: b\rc'), ': a event: b c\n\n')
})
