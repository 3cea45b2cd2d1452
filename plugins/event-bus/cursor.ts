/**
 * Where a subscriber stands: in the hub-wide sequence and in its room's (or the feed's) own. Both stand in every event's
 * id, so one `Last-Event-ID` resumes both. The epoch names one life of the history of one room: an id of another hub, of
 * an earlier run or of another room is recognised and answered with `gap`, never misread.
 */
export interface Cursor {
  hubSeq: number
  roomSeq: number
}

export function formatCursor(epoch: string, hubSeq: number, roomSeq: number): string {
  return `${epoch}.${hubSeq}.${roomSeq}`
}

const CURSOR = /^([\w-]{1,64})\.(\d{1,15})\.(\d{1,15})$/

/** @returns undefined where the text is no id of this epoch. */
export function parseCursor(epoch: string, text: string): Cursor | undefined {
  const match = CURSOR.exec(text)
  if (match === null || match[1] !== epoch) return undefined
  return { hubSeq: Number(match[2]), roomSeq: Number(match[3]) }
}
