import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { goInstall } from '../install.ts'
import { MODEL } from '../workload.ts'
import { type Party, running } from './party.ts'

const VERSION = 'v1.3.9'

function settings(llmPort: number): string {
  const server = `http://127.0.0.1:${llmPort}`
  return JSON.stringify({
    client: { drop_excess_requests: false, enable_logging: true, initial_pool_size: 1000 },
    providers: {
      openai: {
        keys: [{ name: 'bench', value: 'none', models: [MODEL], weight: 1 }],
        network_config: { base_url: server, allow_private_network: true, max_retries: 0 },
        concurrency_and_buffer_size: { concurrency: 1000, buffer_size: 5000 },
      },
    },
    // Its list of prices comes from the internet otherwise.
    framework: { pricing: { pricing_url: `${server}/prices` } },
    config_store: { enabled: false },
  })
}

export const bifrost: Party = {
  name: 'bifrost',
  title: 'Bifrost',
  async start({ llmPort, workFolder }) {
    const module = `github.com/maximhq/bifrost/transports/bifrost-http@${VERSION}`
    const program = join(await goInstall(`bifrost-${VERSION}`, module, 240_000), 'bifrost-http')
    const folder = join(workFolder, 'bifrost')
    mkdirSync(folder)
    writeFileSync(join(folder, 'config.json'), settings(llmPort))
    const port = await freePort()
    const args = ['-host', '127.0.0.1', '-port', String(port), '-app-dir', folder]
    const child = start(program, args, { log: join(workFolder, 'bifrost.log') })
    await waitFor(`http://127.0.0.1:${port}/health`, child, 20_000)
    return running(bifrost, child, port, { version: VERSION })
  },
}
