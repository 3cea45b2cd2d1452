import { hashToken } from '../../plugins/access/tokens.ts'
import type { ParticipantRecord } from '../../plugins/room-store/store.ts'
import type { Participant } from '../../schemas/participant.ts'

/** A participant as everybody sees it, with what the test does not care about filled in. */
export function participant(over: Partial<Participant> = {}): Participant {
  const models = over.models ?? [over.model ?? 'llama3.2:3b']
  return {
    id: 'alice',
    nickname: 'Alice',
    model: models[0] as string,
    models,
    endpoint: 'http://127.0.0.1:11434',
    specs: {},
    config: {},
    status: 'online',
    joinedAt: 1000,
    lastSeen: 1000,
    ...over,
  }
}

/** A participant as a store keeps it. */
export function record(over: Partial<Participant> = {}): ParticipantRecord {
  const shown = participant(over)
  return {
    roomId: 'room',
    key: `room/${shown.id}`,
    participant: shown,
    target: { origin: 'http://127.0.0.1:11434', basePath: '' },
    owner: { tokenHash: hashToken(shown.id), tokenUsed: false },
    liveness: 'heartbeat',
  }
}
