/**
 * Bounds on what a field may hold, in characters unless the name says otherwise. They keep one member of a room from
 * filling everybody's dashboards, logs and event history.
 */
export const LIMITS = {
  name: 80,
  nickname: 60,
  participantId: 64,
  model: 200,
  /** Of one participant. */
  models: 256,
  /** Of all names of one participant: they stand in every event about it, and events are kept. */
  modelsCharacters: 8192,
  /** Of one room. */
  aliases: 100,
  /** Of one alias. */
  aliasModels: 16,
  /** Of all names in one room's aliases: they stand in every event about the room. */
  aliasesCharacters: 16_384,
  slots: 10_000,
  /** Of one room. */
  participants: 10_000,
  endpoint: 2048,
  /** argon2id reads any length; without a bound a password would be a way to spend the hub's CPU. */
  password: 256,
  hardwareName: 200,
  stopSequence: 200,
  stopSequences: 16,
} as const
