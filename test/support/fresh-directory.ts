import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** One of its own, gone with the test: `t.testdir()` has one for each test, and empties it when it is called again. */
export function freshDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'potluck-test-'))
  // Who was stopped a moment ago may still be writing a file.
  t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }))
  return directory
}
