import t from 'tap'
import { MemoryRoomStore } from '../../plugins/room-store/memory-store.ts'
import { roomStoreContract } from './contract.ts'

roomStoreContract(t, 'memory', { create: () => new MemoryRoomStore(), createPeer: (store) => store })
