import { connect, type Socket } from 'node:net'
import { AnswerReader } from './answer-reader.ts'

/** Where requests go. */
export interface Target {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** The whole request as it goes over the wire. */
export function requestBytes({ port, path, headers }: Target, body: Buffer): Buffer {
  const lines = Object.entries({ ...headers, 'content-length': body.length }).map(
    ([name, value]) => `${name}: ${value}`,
  )
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n${lines.join('\r\n')}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}

const CLOSED = 'The connection was closed'

/** One keep-alive connection, one request at a time; opened anew where the server has closed it. */
export class Connection {
  readonly #port: number
  #socket: Socket | undefined
  #reader: AnswerReader | undefined
  #settle: ((error?: Error) => void) | undefined

  constructor(port: number) {
    this.#port = port
  }

  async open(): Promise<void> {
    const { promise: isOpen, resolve, reject } = Promise.withResolvers<void>()
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true }, resolve)
    this.#socket = socket
    socket.on('error', reject)
    socket.on('close', () => {
      reject(new Error(CLOSED))
      if (this.#socket === socket) this.close()
    })
    socket.on('data', (data) => {
      if (this.#socket === socket) this.#read(data)
    })
    await isOpen
  }

  /**
   * Sends the request and hands over each piece of the answer's body.
   * @returns the answer's status, once the answer has ended
   */
  async ask(request: Buffer, onPiece: (piece: Buffer) => void): Promise<number> {
    if (this.#socket === undefined || !this.#socket.writable) await this.open()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const reader = new AnswerReader(onPiece)
    this.#reader = reader
    this.#settle = (error) => (error === undefined ? resolve() : reject(error))
    this.#socket?.write(request)
    await promise
    if (reader.isLast) this.close()
    return reader.status
  }

  /** Also in the midst of an answer, which then fails. */
  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#end(this.#reader?.close() === true ? undefined : new Error(CLOSED))
  }

  #read(data: Buffer): void {
    try {
      this.#reader?.read(data)
      if (this.#reader?.isEnded === true) this.#end()
    } catch (error) {
      this.#end(error as Error)
    }
  }

  #end(error?: Error): void {
    const settle = this.#settle
    this.#settle = undefined
    settle?.(error)
  }
}
