import { bare } from './bare.ts'
import { bifrost } from './bifrost.ts'
import { direct } from './direct.ts'
import { litellm } from './litellm.ts'
import { nginx } from './nginx.ts'
import { olla } from './olla.ts'
import type { Party } from './party.ts'
import { portkey } from './portkey.ts'
import { potluck1, potluck100, potluck1000, potluckSilent } from './potluck.ts'
import { potluckTunnel } from './potluck-tunnel.ts'

/** Who is compared stands side by side: what the machine does meanwhile falls on both. */
export const PARTIES: readonly Party[] = [
  direct,
  nginx,
  potluckSilent,
  bare,
  potluck1,
  potluckTunnel,
  potluck100,
  potluck1000,
  portkey,
  olla,
  bifrost,
  litellm,
]
