import { mkdirSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort, start, waitFor } from '../children.ts'
import { bringOnce, findCommand, isRoot, Missing, runWithin } from '../install.ts'
import { type Party, running } from './party.ts'

/** One worker, as a hub is one process; the access log stays on, as it is by default and as Potluck's is. */
function settings(folder: string, port: number, llmPort: number): string {
  const user = isRoot ? `user ${userInfo().username};` : ''
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`,
  )
  return `
${user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid ${folder}/pid;
error_log ${folder}/error.log crit;
events { worker_connections 8192; }
http {
  ${places.join('\n  ')}
  access_log ${folder}/access.log;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  upstream llm { server 127.0.0.1:${llmPort}; keepalive 1024; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://llm;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 600s;
    }
  }
}
`
}

/** Debian's package, laid beside the system: nothing is installed, no service starts. */
async function fromDebian(): Promise<string> {
  if (findCommand('apt-get') === undefined || findCommand('dpkg-deb') === undefined) {
    throw new Missing('nginx is not installed, and there is no apt to bring it')
  }
  const folder = await bringOnce('nginx', async (cwd) => {
    await runWithin({ command: 'apt-get', args: ['download', 'nginx'], cwd, withinMs: 60_000 })
    await runWithin({ command: 'sh', args: ['-c', 'dpkg-deb -x nginx_*.deb .'], cwd, withinMs: 30_000 })
  })
  return join(folder, 'usr/sbin/nginx')
}

async function versionOf(program: string): Promise<string> {
  // It tells on stderr, which `sh` turns round.
  const told = await runWithin({ command: 'sh', args: ['-c', '"$0" -v 2>&1', program], withinMs: 5000 })
  return /nginx\/(\S+)/.exec(told)?.[1] ?? 'unknown'
}

export const nginx: Party = {
  name: 'nginx',
  title: 'nginx',
  async start({ llmPort, workFolder }) {
    const program = findCommand('nginx') ?? (await fromDebian())
    const version = await versionOf(program)
    const folder = join(workFolder, 'nginx')
    mkdirSync(folder)
    const port = await freePort()
    writeFileSync(join(folder, 'nginx.conf'), settings(folder, port, llmPort))
    const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')]
    const child = start(program, args, { log: join(folder, 'out.log') })
    await waitFor(`http://127.0.0.1:${port}/v1/models`, child, 10_000)
    return running(nginx, child, port, { version, isExact: true })
  },
}
