import { hash, randomBytes } from 'node:crypto'

/** A prefix is compared in blocks of so many bytes: some hundred tokens, less than a server would read anew without notice. */
export const BLOCK_BYTES = 512

/** Of one prompt: 128 KiB, beyond which all are told apart already. */
export const MAX_BLOCKS = 256

/**
 * Conversations that are taken to be warm on a machine, per slot: servers keep the last one. Whoever is sent where nothing is
 * warm any more waits longer than whoever is sent to the fastest at once.
 */
const CHAINS_PER_SLOT = 1

/** On one machine, however many slots it says it has. */
export const MAX_CHAINS = 64

/** Machines that are remembered; those that served last. */
export const MAX_MACHINES = 20_000

/** Blocks of all prompts on all machines, some hundred bytes each: what many machines and long prompts may take of the memory. */
export const MAX_LINKS = 400_000

const SECRET_BYTES = 32

/** The prefix of a prompt, as far as blocks of it are whole: each link stands for all that came before, too. */
export interface Prefix {
  readonly links: readonly string[]
  readonly bytes: number
}

export const NO_PREFIX: Prefix = { links: [], bytes: 0 }

type Chain = readonly string[]

export type Affinity = ReturnType<typeof createAffinity>

/**
 * Remembers which prompts a machine has read lately, so that a conversation goes on where its beginning is in the cache. Of
 * the prompts nothing is kept but a chain of hashes, keyed anew in each process: from them nothing can be guessed.
 */
export function createAffinity() {
  const secret = randomBytes(SECRET_BYTES)
  /** What each has read, oldest first; who read last comes last. */
  const machines = new Map<string, Set<Chain>>()
  /** Who has a link, and with it all that come before it: one machine, as most have, or several. */
  const holders = new Map<string, string | Set<string>>()
  let kept = 0

  function linkOf(before: string, block: Uint8Array): string {
    return hash('sha1', Buffer.concat([secret, Buffer.from(before, 'latin1'), block]), 'binary')
  }

  function holds(machine: string, link: string | undefined): boolean {
    const holder = holders.get(link as string)
    return typeof holder === 'object' ? holder.has(machine) : holder === machine
  }

  function holdersOf(link: string | undefined): number {
    const holder = holders.get(link as string)
    return typeof holder === 'object' ? holder.size : Number(holder !== undefined)
  }

  function hold(machine: string, link: string): void {
    const holder = holders.get(link)
    if (typeof holder === 'object') holder.add(machine)
    else holders.set(link, holder === undefined || holder === machine ? machine : new Set([holder, machine]))
  }

  function letGo(machine: string, link: string): void {
    const holder = holders.get(link)
    if (holder === machine) holders.delete(link)
    else if (typeof holder === 'object' && holder.delete(machine) && holder.size === 0) holders.delete(link)
  }

  /** How many of the links the machine has, which are the first of them. */
  function heldBy(machine: string, links: Chain): number {
    return firstFailing(links.length, (at) => holds(machine, links[at]))
  }

  function chainsOf(machine: string): Set<Chain> {
    const chains = machines.get(machine) ?? new Set()
    machines.delete(machine)
    machines.set(machine, chains)
    return chains
  }

  /** What other conversations there begin with stays. */
  function drop(machine: string, chains: Set<Chain>, chain: Chain): void {
    chains.delete(chain)
    kept -= chain.length
    let shared = 0
    for (const other of chains) {
      const both = Math.min(chain.length, other.length)
      shared = Math.max(
        shared,
        firstFailing(both, (at) => chain[at] === other[at]),
      )
    }
    for (let at = shared; at < chain.length; at++) letGo(machine, chain[at] as string)
  }

  function dropOldest(machine: string, chains: Set<Chain>, bound: number): void {
    for (const oldest of chains) {
      if (chains.size <= bound) return
      drop(machine, chains, oldest)
    }
  }

  /** What goes on from there has the old chain in it. */
  function replaceBeginning(chains: Set<Chain>, links: Chain): void {
    for (const chain of chains) {
      const last = chain.length - 1
      if (chain[last] !== links[last]) continue
      chains.delete(chain)
      kept -= chain.length
    }
  }

  function forget(machine: string): void {
    const chains = machines.get(machine)
    for (const chain of chains ?? []) drop(machine, chains as Set<Chain>, chain)
    machines.delete(machine)
  }

  /** Of the machines that were idle longest. */
  function forgetOldest(): void {
    for (const [machine, chains] of machines) {
      if (machines.size <= MAX_MACHINES && kept <= MAX_LINKS) return
      if (machines.size > MAX_MACHINES || chains.size === 1) forget(machine)
      else dropOldest(machine, chains, chains.size - 1)
    }
  }

  return {
    /**
     * @param pieces of the prompt in their order; what is before the first difference is what two prompts share
     * @param cacheKey a name that the client gave to prompts that begin alike: it is as good as a block of them
     * @param scope prompts of another scope have nothing in common with these: what one room asks is no other's to guess
     */
    prefixOf(pieces: readonly Uint8Array[], cacheKey?: string, scope = ''): Prefix {
      const links: string[] = []
      const start = linkOf('scope', Buffer.from(scope))
      if (cacheKey !== undefined) links.push(linkOf(start, Buffer.from(cacheKey)))
      const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
      for (const block of blocksOf(pieces)) {
        if (links.length >= MAX_BLOCKS) break
        links.push(linkOf(links.at(-1) ?? start, block))
      }
      return { links, bytes }
    },

    /** How many bytes of the prompt the machine has read before. */
    warmBytes(machine: string, { links }: Prefix): number {
      return heldBy(machine, links) * BLOCK_BYTES
    },

    /** The machines that have read most of the prompt, and others that have read less. Few. */
    *warmest({ links }: Prefix): Generator<string> {
      const seen = new Set<string>()
      // Who has a link has those before it, too: from one to the next there are as many, or more.
      for (let at = links.length; at > 0 && seen.size < MAX_SUGGESTED; ) {
        at = firstFailing(at, (earlier) => holdersOf(links[earlier]) > seen.size)
        const holder = holders.get(links[at - 1] as string) ?? []
        for (const machine of typeof holder === 'string' ? [holder] : holder) {
          if (seen.size >= MAX_SUGGESTED || seen.has(machine)) continue
          seen.add(machine)
          yield machine
        }
      }
    },

    /** The machine reads this prompt now. */
    note(machine: string, { links }: Prefix, slots: number): void {
      if (links.length === 0) return
      const chains = chainsOf(machine)
      const held = heldBy(machine, links)
      replaceBeginning(chains, links)
      chains.add(links)
      kept += links.length
      for (let at = held; at < links.length; at++) hold(machine, links[at] as string)
      const bound = Math.min(MAX_CHAINS, Math.max(1, slots) * CHAINS_PER_SLOT)
      dropOldest(machine, chains, bound)
      forgetOldest()
    },

    /** It was restarted, or is gone: nothing is warm there. */
    forget,
  }
}

const MAX_SUGGESTED = 8

/** Of numbers that pass up to some number and from there on fail: that one, found by halving. */
function firstFailing(end: number, passes: (at: number) => boolean): number {
  let low = 0
  let high = end
  while (low < high) {
    const middle = (low + high) >> 1
    if (passes(middle)) low = middle + 1
    else high = middle
  }
  return low
}

/** The whole blocks of all pieces together; the same bytes are used for each. */
function* blocksOf(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  const block = Buffer.alloc(BLOCK_BYTES)
  let filled = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + BLOCK_BYTES - filled)
      block.set(taken, filled)
      at += taken.length
      filled = (filled + taken.length) % BLOCK_BYTES
      if (filled === 0) yield block
    }
  }
}
