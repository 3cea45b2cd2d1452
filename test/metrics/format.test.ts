import t from 'tap'
import { parseMetrics, valueIn } from '../support/prometheus.ts'

const HEAD = '# HELP potluck_x What it is\n# TYPE potluck_x counter\n'
const HISTOGRAM = '# HELP h What\n# TYPE h histogram\n'

t.test('a page is read with its labels, whatever is escaped in them', async (t) => {
  const page = `${HEAD}potluck_x{a="1",b="q\\"\\\\\\n,}"} 1.5e-7\n\n# HELP y Y\n# TYPE y gauge\ny 0\n`
  const families = parseMetrics(page)
  t.same([...families.keys()], ['potluck_x', 'y'])
  t.match(families.get('potluck_x'), { help: 'What it is', type: 'counter' })
  t.equal(valueIn(families, 'potluck_x', { b: 'q"\\\n,}', a: '1' }), 1.5e-7)
  t.equal(valueIn(families, 'potluck_x', { a: '1' }), undefined)
  t.equal(valueIn(families, 'y'), 0)
})

t.test('so is a histogram', async (t) => {
  const own = (of: string) =>
    `h_bucket{le="0.5",p="${of}"} 1\nh_bucket{le="+Inf",p="${of}"} 3\nh_sum{p="${of}"} 7\nh_count{p="${of}"} 3\n`
  const families = parseMetrics(`${HISTOGRAM}${own('a')}${own('b')}`)
  t.equal(valueIn(families, 'h_bucket', { le: '+Inf', p: 'b' }), 3)
})

const FAULTS: Record<string, string> = {
  'a last line without an end': `${HEAD}potluck_x 1`,
  'a sample of nothing': 'potluck_x 1\n',
  'no help': '# TYPE potluck_x counter\npotluck_x 1\n',
  'no type': '# HELP potluck_x What\npotluck_x 1\n',
  'a type alone': '# HELP potluck_x What\n',
  'an unknown type': '# HELP potluck_x What\n# TYPE potluck_x number\n',
  'a type twice': `${HEAD}# TYPE potluck_x counter\n`,
  'the type of another': '# HELP potluck_x What\n# TYPE potluck_y counter\n',
  'a family in two places': `${HEAD}# HELP y Y\n# TYPE y gauge\n${HEAD}`,
  'a sample of another': `${HEAD}potluck_y 1\n`,
  'a name that goes on': `${HEAD}potluck_x_total 1\n`,
  'a sample twice': `${HEAD}potluck_x{a="1",b="2"} 1\npotluck_x{b="2",a="1"} 1\n`,
  'a label twice': `${HEAD}potluck_x{a="1",a="2"} 1\n`,
  'a label without quotes': `${HEAD}potluck_x{a=1} 1\n`,
  'a quote that is not escaped': `${HEAD}potluck_x{a="""} 1\n`,
  'an unknown escape': `${HEAD}potluck_x{a="\\t"} 1\n`,
  'no number': `${HEAD}potluck_x one\n`,
  'a number that is none': `${HEAD}potluck_x NaN\n`,
  'a counter below nought': `${HEAD}potluck_x -1\n`,
  'a time': `${HEAD}potluck_x 1 1700000000000\n`,
  'another line end': `${HEAD}potluck_x 1\r\n`,
  'a histogram without its last bucket': `${HISTOGRAM}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`,
  'a histogram without its sum': `${HISTOGRAM}h_bucket{le="+Inf"} 1\nh_count 1\n`,
  'a histogram that counts another number': `${HISTOGRAM}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`,
  'buckets that fall': `${HISTOGRAM}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
  'buckets out of order': `${HISTOGRAM}h_bucket{le="2"} 1\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`,
}

for (const [fault, page] of Object.entries(FAULTS)) {
  t.test(`${fault} is refused`, async (t) => {
    t.throws(() => parseMetrics(page))
  })
}
