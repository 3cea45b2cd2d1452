import { run } from './program.ts'

// Whoever read the output has seen enough: no fault, and nothing to say to anybody.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
await run(process.argv)
