import t from 'tap'
import { atPort, HERE, refusesAll, startJoins } from '../support/joiners.ts'

const ADDRESS = /must not be (?:169\.254\.169\.254|\S*a9fe\S*): it may be/
const NO_URL = /must be an http or https URL/

t.test('the metadata service in decimal, octal, hexadecimal and short forms', async (t) => {
  const decimal = ['2852039166', '169.254.43518', '169.16689662']
  const octal = ['0251.0376.0251.0376', '0251.0376.0124776', '025177524776', '000000251.254.169.254']
  const hex = ['0xa9fea9fe', '0XA9FEA9FE', '0xa9.0xfe.0xa9.0xfe', '0xA9.254.0251.254', '0x00000000a9fea9fe']
  await refusesAll(t, await startJoins(t), atPort([...decimal, ...octal, ...hex]), ADDRESS)
})

t.test('the metadata service in IPv6’s clothes: mapped, compatible, translated, NAT64, 6to4', async (t) => {
  const mapped = ['[::ffff:169.254.169.254]', '[::FFFF:A9FE:A9FE]', '[0:0:0:0:0:ffff:a9fe:a9fe]']
  const others = ['[::169.254.169.254]', '[::a9fe:a9fe]', '[::ffff:0:169.254.169.254]', '[2002:a9fe:a9fe::1]']
  const nat64 = ['[64:ff9b::169.254.169.254]', '[64:ff9b::a9fe:a9fe]', '[64:ff9b:1::a9fe:a9fe]']
  await refusesAll(t, await startJoins(t), atPort([...mapped, ...others, ...nat64]), ADDRESS)
})

t.test('NAT64 with a shorter prefix (RFC 6052 §2.2), and a private address where nobody reads it', async (t) => {
  const shorter = ['[64:ff9b:1:a9fe:a9:fe00:a00:1]', '[64:ff9b:1:a9:fe:a9fe:a00:1]', '[64:ff9b:1:0:a9:fea9:fe00:1]']
  await refusesAll(t, await startJoins(t, { publicEndpoints: true }), atPort(shorter), /must not be \[?64:ff9b:1:/)
})

t.test('dots at the end', async (t) => {
  await refusesAll(t, await startJoins(t), atPort(['169.254.169.254.', '0xa9fea9fe.', '2852039166.']), ADDRESS)
})

t.test('percent-escapes, full-width and circled digits, other dots, and letters that are dropped', async (t) => {
  const escaped = ['%31%36%39.254.169.254', '169%2E254%2E169%2E254', '%32852039166']
  const wide = ['１６９.２５４.１６９.２５４', '169。254。169。254', '169．254．169．254', '①⑥⑨.②⑤④.①⑥⑨.②⑤④']
  const dropped = ['169.254.169\u00ad.254', '169.254\u200b.169.254', '169.254.169.254\u2060']
  await refusesAll(t, await startJoins(t), atPort([...escaped, ...wide, ...dropped]), ADDRESS)
})

t.test('slashes too few or too many, and a scheme in any case', async (t) => {
  const endpoints = [
    'http:169.254.169.254',
    'http:/169.254.169.254',
    'http:///169.254.169.254',
    'HtTp://169.254.169.254',
  ]
  await refusesAll(t, await startJoins(t), [...endpoints, 'hTTPS://169.254.169.254:443/v1'], ADDRESS)
})

t.test('zone ids', async (t) => {
  await refusesAll(
    t,
    await startJoins(t),
    atPort(['[fe80::1%eth0]', '[fe80::1%25eth0]', '[fe80::1%251]', '[::1%lo]']),
    NO_URL,
  )
})

t.test('a host in front of @, which is none', async (t) => {
  const endpoints = [
    'http://10.0.0.1@169.254.169.254',
    'http://10.0.0.1:80@169.254.169.254',
    'http://a&@169.254.169.254',
  ]
  await refusesAll(t, await startJoins(t), [...endpoints, 'http://10.0.0.1%2f@169.254.169.254'], /credentials/)
})

t.test('what one parser takes for the end of the host, and another does not', async (t) => {
  const tails = ['http://10.0.0.1#@169.254.169.254', 'http://169.254.169.254?@10.0.0.1', 'http://169.254.169.254/#/']
  await refusesAll(t, await startJoins(t), tails, /\? or #/)
  const slashes = ['http://10.0.0.1\\@169.254.169.254', 'http:\\\\169.254.169.254', 'http://169.254.169.254\\x']
  const blanks = [
    'ht\ttp://169.254.169.254',
    'http://169.254.\t169.254',
    'http://169.254.169.254\n',
    ' http://169.254.169.254',
  ]
  await refusesAll(t, await startJoins(t), [...slashes, ...blanks], /spaces, control characters or \\/)
})

t.test('other schemes', async (t) => {
  const schemes = [
    'gopher',
    'ftp',
    'file',
    'dict',
    'ldap',
    'tftp',
    'ws',
    'wss',
    'unix',
    'jar:http',
    'netdoc',
    'blob:http',
  ]
  const endpoints = schemes.map((scheme) => `${scheme}://169.254.169.254/`)
  await refusesAll(t, await startJoins(t), [...endpoints, '//169.254.169.254', '169.254.169.254:80'], NO_URL)
})

t.test('numbers that are no address are no host either', async (t) => {
  const hosts = [
    '4294967296',
    '256.1.1.1',
    '1.2.3.4.5',
    '0x1ffffffff',
    '169.254.169.254.1',
    '08.0.0.1',
    '[::1',
    '[1::2::3]',
  ]
  await refusesAll(t, await startJoins(t), atPort(hosts), NO_URL, HERE)
})
