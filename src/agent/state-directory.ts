import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/**
 * Where programs keep what must outlive them and is nobody else's: https://specifications.freedesktop.org/basedir-spec/latest/
 * (`XDG_STATE_HOME`), Apple's File System Programming Guide, Microsoft's known folder LocalAppData.
 */
export function stateDirectory(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  const { XDG_STATE_HOME = '', LOCALAPPDATA = '' } = env
  // "All paths set in these environment variables must be absolute", says the specification, and to ignore others.
  if (isAbsolute(XDG_STATE_HOME)) return join(XDG_STATE_HOME, 'potluck')
  if (platform === 'win32') return join(LOCALAPPDATA || join(homedir(), 'AppData', 'Local'), 'potluck')
  if (platform === 'darwin') return join(homedir(), 'Library', 'Application Support', 'potluck')
  return join(homedir(), '.local', 'state', 'potluck')
}
