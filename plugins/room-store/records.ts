import type { Participant } from '../../schemas/participant.ts'
import type { ParticipantChange, ParticipantRecord, RoomChange, RoomRecord } from './store.ts'

/** Records never change: each of these makes a new one. */

export function keyOf(roomId: string, participantId: string): string {
  return `${roomId}/${participantId}`
}

export function changedRoom(record: RoomRecord, change: RoomChange): RoomRecord {
  const { name = record.room.name, listed = record.listed, defaults = record.defaults } = change
  const { aliases = record.aliases } = change
  const { passwordHash, ...rest } = record
  const hash = change.passwordHash === undefined ? passwordHash : (change.passwordHash ?? undefined)
  const room = { ...record.room, name }
  return { ...rest, room, listed, defaults, aliases, ...(hash === undefined ? {} : { passwordHash: hash }) }
}

export function changedParticipant(participant: Participant, change: ParticipantChange): Participant {
  const { models = participant.models, paused = participant.paused ?? false } = change
  const { paused: _, ...rest } = participant
  const { config = rest.config, specs = rest.specs, slots = rest.slots } = change
  const status = rest.status === 'offline' ? rest.status : statusOf(paused)
  return {
    ...rest,
    model: models[0] ?? rest.model,
    models: [...models],
    config,
    specs,
    status,
    ...(slots === undefined ? {} : { slots }),
    ...(paused ? { paused } : {}),
  }
}

/** It was heard of: whatever it was before, it is there now. */
export function seen({ probeFailure: _, ...record }: ParticipantRecord, at: number): ParticipantRecord {
  const { offlineReason: __, ...participant } = record.participant
  const status = participant.status === 'offline' ? statusOf(participant.paused ?? false) : participant.status
  return { ...record, participant: { ...participant, status, lastSeen: at } }
}

/** A probe found something wrong; whether it is offline for that is another matter. */
export function failed(record: ParticipantRecord, probeFailure: string): ParticipantRecord {
  const { participant } = record
  const reason = participant.status === 'offline' ? { offlineReason: probeFailure } : {}
  return { ...record, probeFailure, participant: { ...participant, ...reason } }
}

/** @returns undefined where it is not that which makes it what it is */
export function withLoad(record: ParticipantRecord, isBusy: boolean): ParticipantRecord | undefined {
  const { status, paused } = record.participant
  if (status === 'offline' || paused === true || (status === 'busy') === isBusy) return undefined
  return { ...record, participant: { ...record.participant, status: isBusy ? 'busy' : 'online' } }
}

export function pausedAs(participant: Participant): Participant {
  return { ...participant, status: participant.status === 'offline' ? 'offline' : 'busy', paused: true }
}

export function offline(record: ParticipantRecord): ParticipantRecord {
  const why = record.probeFailure === undefined ? {} : { offlineReason: record.probeFailure }
  return { ...record, participant: { ...record.participant, status: 'offline', ...why } }
}

function statusOf(paused: boolean): Participant['status'] {
  return paused ? 'busy' : 'online'
}
