import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { goInstall } from '../install.ts'
import { type Party, running } from './party.ts'

const VERSION = 'v0.0.22'

/** Its faster engine, and rate limits that nobody reaches. */
function settings(port: number, llmPort: number): string {
  return JSON.stringify({
    server: {
      host: '127.0.0.1',
      port,
      write_timeout: '0s',
      request_logging: true,
      rate_limits: { global_requests_per_minute: 0, per_ip_requests_per_minute: 0 },
    },
    proxy: { engine: 'olla', profile: 'streaming', load_balancer: 'least-connections', connection_timeout: '30s' },
    discovery: {
      type: 'static',
      static: {
        endpoints: [
          {
            url: `http://127.0.0.1:${llmPort}`,
            name: 'bench',
            type: 'openai',
            priority: 100,
            model_url: '/v1/models',
            health_check_url: '/v1/models',
            check_interval: '5s',
            check_timeout: '2s',
          },
        ],
      },
    },
    logging: { level: 'info', format: 'json', output: 'stdout' },
  })
}

export const olla: Party = {
  name: 'olla',
  title: 'Olla',
  async start({ llmPort, workFolder }) {
    const folder = await goInstall(`olla-${VERSION}`, `github.com/thushan/olla@${VERSION}`, 240_000)
    const port = await freePort()
    const config = join(workFolder, 'olla.yaml')
    // YAML holds all of JSON.
    writeFileSync(config, settings(port, llmPort))
    const child = start(join(folder, 'olla'), ['--config', config], {
      cwd: workFolder,
      log: join(workFolder, 'olla.log'),
    })
    await waitFor(`http://127.0.0.1:${port}/internal/health`, child, 20_000)
    return running(olla, child, port, { version: VERSION, path: '/olla/openai/v1/chat/completions' })
  },
}
