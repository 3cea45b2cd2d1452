import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** One of its own, gone with the test: `t.testdir()` has one for each test, and empties it when it is called again. */
export function freshDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'potluck-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
