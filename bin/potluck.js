#!/usr/bin/env node
// Plain JavaScript that any Node can read: one launcher for a clone (TypeScript as it is), the package and the container (dist).
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'
import v8 from 'node:v8'

// The first that lets a server say which requests may become another protocol.
const OLDEST_NODE = [24, 9]
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  console.error(
    `potluck needs Node.js ${OLDEST_NODE.join('.')} or newer, this is ${process.versions.node}: install it from https://nodejs.org, or in a clone run \`npm ci\`, which brings one on Linux and Windows, and then \`npm start\`.`,
  )
  process.exit(1)
}

// Compiled code, and types stripped, are kept beside the dependencies: not in the system's folder for such, where others may
// write. Where nothing can be written there it goes without.
module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/potluck', import.meta.url)))
if (process.argv[2] === 'serve') {
  // To start leaves much garbage at once, for which V8 would make room, and keep that. It may grow later on.
  v8.setFlagsFromString('--semi-space-growth-factor=1')
  // A hub is idle most of the time. V8 would throw the code away meanwhile, and be slow each time that somebody comes.
  v8.setFlagsFromString('--no-flush-bytecode')
  // The same with what it has compiled, where it tidies up while nothing happens. It still does, and leaves that.
  v8.setFlagsFromString('--no-memory-reducer-favors-memory')
  // Large bodies come and go outside of V8's heap. It would look through all of the heap for each of them.
  v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
  v8.setFlagsFromString('--heap-growing-percent=200')
}

const source = new URL('../src/cli/main.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/src/cli/main.js', import.meta.url).href)
