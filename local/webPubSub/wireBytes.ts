import type { Socket } from "node:net";

/** Counts the bytes that went over sockets, in both directions. */
export class WireBytes {
  readonly #open = new Map<Socket, () => void>();
  #ended = 0;

  /** Counts a socket from now on until it closes. */
  add(socket: Socket): void {
    const end = (): void => this.leave(socket);
    this.#open.set(socket, end);
    socket.once("close", end);
  }

  /** Counts no more of a socket than what went over it by now. */
  leave(socket: Socket): void {
    const end = this.#open.get(socket);
    if (!end) return;
    socket.off("close", end);
    this.#open.delete(socket);
    this.#ended += bytesOf(socket);
  }

  get total(): number {
    let sum = this.#ended;
    for (const socket of this.#open.keys()) sum += bytesOf(socket);
    return sum;
  }
}

const bytesOf = ({ bytesRead, bytesWritten }: Socket): number => bytesRead + bytesWritten;
