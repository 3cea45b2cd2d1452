#!/usr/bin/env node
// Plain JavaScript that any Node can read: one launcher for a clone (TypeScript as it is), the package and the container (dist).
import { existsSync } from 'node:fs'

const OLDEST_NODE = 24
const [major] = process.versions.node.split('.')

if (Number(major) < OLDEST_NODE) {
  console.error(
    `potluck needs Node.js ${OLDEST_NODE} or newer, this is ${process.versions.node}: install it from https://nodejs.org, or in a clone use \`npm start\`, which brings its own on Linux and Windows.`,
  )
  process.exit(1)
}

const source = new URL('../src/cli/main.ts', import.meta.url)
await import(existsSync(source) ? source.href : new URL('../dist/src/cli/main.js', import.meta.url).href)
