import { Type } from '@sinclair/typebox'

export const Success = Type.Object({ success: Type.Literal(true) })
