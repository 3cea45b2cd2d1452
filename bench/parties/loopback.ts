/** Loaded before a server that has no setting for it: it listens on this machine's own address alone. */
import { Server } from 'node:net'

const { listen } = Server.prototype

Server.prototype.listen = function (this: Server, ...given: unknown[]): Server {
  const [first, ...others] = given
  const port = typeof first === 'object' && first !== null ? (first as { port?: number }).port : Number(first)
  const callback = others.find((one) => typeof one === 'function')
  return Reflect.apply(listen, this, [{ port, host: '127.0.0.1' }, callback])
} as typeof listen
