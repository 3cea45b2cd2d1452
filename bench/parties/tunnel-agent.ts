/** The participant's end of a tunnel, as a process of its own. */
import { connectTunnel } from '../../src/agent/tunnel/index.ts'

const { BENCH_HUB = '', BENCH_CODE: code = '', BENCH_TOKEN: token = '', BENCH_ENDPOINT = '' } = process.env

const tunnel = await connectTunnel({ hub: new URL(BENCH_HUB), code, token, endpoint: new URL(BENCH_ENDPOINT) })
const { code: why, reason } = await tunnel.closed
process.stderr.write(`the tunnel ended: ${why} ${reason}\n`)
process.exit()
