import { readFileSync } from 'node:fs'

/** From `src/` in a clone and from `dist/src/` in the package, the manifest is not equally far. */
const MANIFEST = import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json'

/** `name`, `version` and `description` of the package. */
export const manifest = JSON.parse(readFileSync(new URL(MANIFEST, import.meta.url), 'utf8')) as {
  version: string
  description: string
}
