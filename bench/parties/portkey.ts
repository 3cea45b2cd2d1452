import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { bringOnce, runWithin } from '../install.ts'
import { type Party, running } from './party.ts'

const VERSION = '1.15.2'

const LOOPBACK = join(import.meta.dirname, 'loopback.ts')

/** No script of any package runs. */
function bring(): Promise<string> {
  return bringOnce(`portkey-${VERSION}`, async (cwd) => {
    writeFileSync(join(cwd, 'package.json'), '{"private":true}')
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `@portkey-ai/gateway@${VERSION}`]
    await runWithin({ command: 'npm', args, cwd, withinMs: 120_000 })
  })
}

/** On the Node of today it answers every streamed request with 500 (its issues 1389 and 1550), and is left out there. */
export const portkey: Party = {
  name: 'portkey',
  title: 'Portkey gateway',
  async start({ llmPort, workFolder }) {
    const server = join(await bring(), 'node_modules/@portkey-ai/gateway/build/start-server.js')
    const port = await freePort()
    const args = ['--import', LOOPBACK, server, `--port=${port}`, '--headless']
    const log = join(workFolder, 'portkey.log')
    const child = start(process.execPath, args, { log, env: { NODE_ENV: 'production' } })
    await waitFor(`http://127.0.0.1:${port}/`, child, 20_000)
    const host = `http://127.0.0.1:${llmPort}/v1`
    const headers = { authorization: 'Bearer none', 'x-portkey-provider': 'openai', 'x-portkey-custom-host': host }
    return running(portkey, child, port, { version: VERSION, headers })
  },
}
