import type { Scenario } from '../bench.ts'
import { measureChoosing } from '../choosing.ts'

export const choosing: Scenario = { name: 'choosing', run: async () => measureChoosing() }
