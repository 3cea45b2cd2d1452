import fc from 'fast-check'
import t from 'tap'
import { BothEnds, HEAD_BYTES, TAIL_BYTES } from '../../plugins/ollama-proxy/both-ends.ts'
import { holds } from '../support/property.ts'

t.test('both ends are there, whatever the pieces', async (t) => {
  const lengths = fc.array(fc.oneof(fc.nat(400), fc.nat(3 * TAIL_BYTES)), { maxLength: 60 })
  holds(
    t,
    'both ends',
    fc.property(lengths, fc.integer({ min: 1, max: 200 }), (sizes, asked) => {
      const whole = Buffer.from(
        Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, at) => 97 + ((at * 7) % 26)),
      )
      const kept = new BothEnds()
      let at = 0
      for (const size of sizes) {
        kept.add(whole.subarray(at, at + size))
        at += size
      }
      const { head, tail } = kept.ends()
      const text = whole.toString()
      const isWhole = text.length <= TAIL_BYTES
      return (
        kept.bytes === text.length &&
        tail === text.slice(-TAIL_BYTES) &&
        head === (isWhole ? text : text.slice(0, HEAD_BYTES)) &&
        kept.last(asked).toString() === text.slice(-asked)
      )
    }),
    1000,
  )
})
