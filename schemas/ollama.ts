import { type Static, Type } from '@sinclair/typebox'

/** https://github.com/ollama/ollama/blob/main/docs/api.md */

const Details = Type.Object(
  {
    parent_model: Type.String(),
    format: Type.String(),
    family: Type.String(),
    families: Type.Array(Type.String()),
    parameter_size: Type.String(),
    quantization_level: Type.String(),
  },
  { description: 'Empty where the participant does not tell' },
)
export type Details = Static<typeof Details>

const offered = {
  name: Type.String(),
  model: Type.String(),
  size: Type.Number({ description: 'Bytes; 0 where the participant does not tell' }),
  digest: Type.String({ description: 'Empty where the participant does not tell' }),
  details: Details,
}

const Potluck = Type.Object({ participants: Type.Array(Type.String(), { description: 'Ids of those who have it' }) })

export const Tag = Type.Object({ ...offered, modified_at: Type.String(), potluck: Potluck })
export type Tag = Static<typeof Tag>
export const TagList = Type.Object({ models: Type.Array(Tag) })

export const Running = Type.Object({
  ...offered,
  expires_at: Type.String(),
  size_vram: Type.Number(),
  context_length: Type.Optional(Type.Number()),
  potluck: Potluck,
})
export type Running = Static<typeof Running>
export const RunningList = Type.Object({ models: Type.Array(Running) })

export const Version = Type.Object({
  version: Type.String({ description: "The oldest of the participants' Ollama servers; 0.0.0 where there is none" }),
})
