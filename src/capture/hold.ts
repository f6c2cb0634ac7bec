import type { Connection } from './exchange.ts';

/**
 * Holds back the writes of sockets until their records are in the journal (mode `group`). A socket that is corked
 * collects its writes; but Node uncorks it at the end of every response, and `destroy` throws away what waits.
 * So both methods are replaced on the sockets of tracked connections: while a socket is held, `uncork` waits and
 * `destroy` first has everything journaled and sent, as it would have been without us.
 */
export class Holder {
  readonly #flush: () => void;
  #held: Connection[] = [];

  /** `flush` appends the records that wait, and then calls `release`. */
  constructor(flush: () => void) {
    this.#flush = flush;
  }

  hold(connection: Connection): void {
    if (connection.held) return;
    if (!connection.holdable) this.#prepare(connection);
    connection.held = true;
    connection.socket.cork();
    this.#held.push(connection);
  }

  /** Lets everything go that is held. */
  release(): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const connection of held) {
      connection.held = false;
      const { socket } = connection;
      while (socket.writableCorked > 0) socket.uncork();
    }
  }

  #prepare(connection: Connection): void {
    connection.holdable = true;
    const { socket } = connection;
    const { uncork, destroy } = socket;
    socket.uncork = () => {
      if (!connection.held) uncork.call(socket);
    };
    socket.destroy = (error) => {
      if (connection.held) this.#flush();
      return destroy.call(socket, error);
    };
  }
}
