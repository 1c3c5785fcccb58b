/**
 * A recording on its way to a caller: the bytes of the file that `server --record` would write, in
 * pieces of bounded size. Nothing touches the disk of the server.
 */

import type { RecordingSink } from '../../files/recorder.js';
import { lineOf, type RecordedRequest } from '../../files/recording.js';

/** Bytes in a message: well below what a client of gRPC takes by default, 4 MiB. */
const PIECE_BYTES = 64 * 1024;

export class RecordingPieces implements RecordingSink {
  #lines: Buffer[] = [];
  #numBytes = 0;
  #numEvents = 0;

  write(request: RecordedRequest): void {
    const line = Buffer.from(lineOf(request));
    this.#lines.push(line);
    this.#numBytes += line.length;
    this.#numEvents += 1 + request.outputTokens;
  }

  /** Whether there is a piece to send. */
  get ripe(): boolean {
    return this.#numBytes >= PIECE_BYTES;
  }

  /** What was written since it was asked for: a request, and each of its tokens. */
  takeNumEvents(): number {
    const numEvents = this.#numEvents;
    this.#numEvents = 0;
    return numEvents;
  }

  /** Whole pieces, and with `all` the rest as well. */
  *take(all: boolean): Generator<Buffer> {
    if (!this.ripe && !all) return;
    const bytes = Buffer.concat(this.#lines);
    let at = 0;
    for (; bytes.length - at >= PIECE_BYTES; at += PIECE_BYTES) {
      yield bytes.subarray(at, at + PIECE_BYTES);
    }
    const rest = bytes.subarray(at);
    this.#lines = all ? [] : [rest];
    this.#numBytes = all ? 0 : rest.length;
    if (all && rest.length > 0) yield rest;
  }
}
