import { nanoid } from 'nanoid'
import t from 'tap'
import { MemoryEventBus } from '../../plugins/event-bus/memory-bus.ts'
import { eventBusContract } from './contract.ts'

eventBusContract(t, 'memory', { create: (options) => new MemoryEventBus({ ...options, epoch: nanoid(8) }) })
