import { nanoid } from 'nanoid'

/** Unique among hubs and runs by the prefix, cheap by the counter. */
export function createRequestIds(): () => string {
  const prefix = nanoid(8)
  let count = 0
  return () => {
    count += 1
    return `${prefix}-${count.toString(36)}`
  }
}
