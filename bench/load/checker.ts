import { answerBody, answerText, type Wish } from '../workload.ts'

/** Looks whether an answer is whole and right. One object serves one request after the other. */
export interface Checker {
  begin(): void
  see(piece: Buffer): void
  /** @returns what is wrong with the answer, if anything is */
  end(): string | undefined
}

/** Who passes bytes through must pass them all, unchanged. */
export class ExactChecker implements Checker {
  readonly #expected: Buffer
  #at = 0
  #isRight = true

  constructor(wish: Wish, requestBytes: number) {
    this.#expected = answerBody(wish, requestBytes)
  }

  begin(): void {
    this.#at = 0
    this.#isRight = true
  }

  see(piece: Buffer): void {
    const end = this.#at + piece.length
    if (end > this.#expected.length || piece.compare(this.#expected, this.#at, end) !== 0) this.#isRight = false
    this.#at = end
  }

  end(): string | undefined {
    if (this.#at !== this.#expected.length) return `${this.#at} bytes instead of ${this.#expected.length}`
    return this.#isRight ? undefined : 'other bytes than the LLM server sent'
  }
}

interface Message {
  content?: string | null
}

interface Completion {
  choices?: { message?: Message; delta?: Message }[]
}

/** Some gateways write the JSON anew: then what the model says must be the same. */
export class TextChecker implements Checker {
  readonly #expected: string
  readonly #isStream: boolean
  #pieces: Buffer[] = []

  constructor(wish: Wish, requestBytes: number) {
    this.#expected = answerText(wish, requestBytes)
    this.#isStream = wish.kind === 'stream'
  }

  begin(): void {
    this.#pieces = []
  }

  see(piece: Buffer): void {
    this.#pieces.push(piece)
  }

  end(): string | undefined {
    const text = Buffer.concat(this.#pieces).toString('utf8')
    const documents = this.#isStream ? Array.from(text.matchAll(/^data: *({.*)$/gm), ([, json = '']) => json) : [text]
    const said = documents.map(textOf).join('')
    return said === this.#expected ? undefined : `another text than the model said: ${text.slice(0, 200)}`
  }
}

function textOf(json: string): string {
  try {
    const { choices = [] } = JSON.parse(json) as Completion
    return choices.map(({ message, delta }) => (message ?? delta)?.content ?? '').join('')
  } catch {
    return json
  }
}
