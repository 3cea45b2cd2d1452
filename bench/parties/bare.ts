import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { type Party, running } from './party.ts'

const PROXY = join(import.meta.dirname, '../bare-proxy.ts')

export const bare: Party = {
  name: 'bare',
  title: 'bare Node proxy',
  async start({ llmPort, workFolder }) {
    const port = await freePort()
    const log = join(workFolder, 'bare.log')
    const child = start(process.execPath, [PROXY, String(port), String(llmPort)], { log })
    await waitFor(`http://127.0.0.1:${port}/v1/models`, child, 10_000)
    return running(bare, child, port, { version: `Node ${process.versions.node}`, isExact: true })
  },
}
