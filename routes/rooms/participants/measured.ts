import type { FastifyInstance } from 'fastify'
import type { ParticipantRecord } from '../../../plugins/room-store/store.ts'
import type { MeasuredParticipant } from '../../../schemas/participant.ts'

/** As everybody sees it, and how it has been doing, as far as this hub has seen. */
export function measured({ ollamaProxy }: FastifyInstance, record: ParticipantRecord): MeasuredParticipant {
  const performance = ollamaProxy.performanceOf(record)
  return performance === undefined ? record.participant : { ...record.participant, performance }
}
