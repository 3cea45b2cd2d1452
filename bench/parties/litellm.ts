import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { bringOnce, runWithin } from '../install.ts'
import { MODEL } from '../workload.ts'
import { type Party, running } from './party.ts'

/** One that has stood for long: a package that installs so much of others is not taken fresh. */
const VERSION = '1.80.17'

function bring(): Promise<string> {
  return bringOnce(`litellm-${VERSION}`, async (folder) => {
    await runWithin({ command: 'python3', args: ['-m', 'venv', folder], withinMs: 60_000 })
    const args = ['install', '--quiet', '--no-input', `litellm[proxy]==${VERSION}`]
    await runWithin({ command: join(folder, 'bin/pip'), args, withinMs: 300_000 })
  })
}

function settings(llmPort: number): string {
  const served = { model: `openai/${MODEL}`, api_base: `http://127.0.0.1:${llmPort}/v1`, api_key: 'none' }
  // YAML holds all of JSON.
  return JSON.stringify({ model_list: [{ model_name: MODEL, litellm_params: served }] })
}

export const litellm: Party = {
  name: 'litellm',
  title: 'LiteLLM proxy',
  async start({ llmPort, workFolder }) {
    const program = join(await bring(), 'bin/litellm')
    const config = join(workFolder, 'litellm.yaml')
    writeFileSync(config, settings(llmPort))
    const port = await freePort()
    const args = ['--config', config, '--host', '127.0.0.1', '--port', String(port), '--num_workers', '1']
    // Its list of prices comes from the internet otherwise.
    const env = { LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_TELEMETRY: 'False' }
    const child = start(program, args, { cwd: workFolder, log: join(workFolder, 'litellm.log'), env })
    await waitFor(`http://127.0.0.1:${port}/health/liveliness`, child, 60_000, 200)
    return running(litellm, child, port, { version: VERSION })
  },
}
