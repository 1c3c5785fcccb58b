/**
 * Server-sent events from bytes that arrive in any pieces.
 *
 * A code point, a line end or a field may be cut anywhere: bytes are decoded incrementally, and what is
 * not yet a whole line waits. Comments (keep-alives) and fields other than `data` are skipped; `data`
 * lines of one event are joined, as the standard says. An event that the end of the stream cuts off
 * from its blank line is delivered by `end`: servers leave it out.
 */

import { StringDecoder } from 'node:string_decoder';

export class SseParser {
  readonly #onEvent: (data: string) => void;
  /** Only once a piece has ended inside a code point: nearly all end with a line. */
  #decoder: StringDecoder | undefined;
  #rest = '';
  #data: string | undefined;

  constructor(onEvent: (data: string) => void) {
    this.#onEvent = onEvent;
  }

  push(bytes: Buffer): void {
    if (!this.#decoder && bytes.length > 0 && bytes[bytes.length - 1]! < 0x80) {
      const text = bytes.toString('utf8');
      this.#take(this.#rest === '' ? text : this.#rest + text);
      return;
    }
    this.#decoder ??= new StringDecoder('utf8');
    this.#take(this.#rest + this.#decoder.write(bytes));
  }

  /** The stream is over. */
  end(): void {
    const last = this.#rest + (this.#decoder?.end() ?? '');
    this.#rest = '';
    if (last !== '') this.#take(`${last}\n`);
    this.#dispatch();
  }

  #take(received: string): void {
    let text = received;
    let held = '';
    if (text.includes('\r')) {
      // Whether a last \r is a line end of its own is seen with the next byte.
      if (text.endsWith('\r')) held = '\r';
      text = text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n');
    }
    let from = 0;
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      if (at === from) this.#dispatch();
      else this.#line(text, from, at);
      from = at + 1;
    }
    this.#rest = (from === 0 ? text : text.slice(from)) + held;
  }

  #line(text: string, from: number, to: number): void {
    if (!text.startsWith('data', from)) return;
    if (to === from + 4) this.#add('');
    else if (text[from + 4] === ':') {
      this.#add(text.slice(text[from + 5] === ' ' ? from + 6 : from + 5, to));
    }
  }

  #add(value: string): void {
    this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
  }

  #dispatch(): void {
    const data = this.#data;
    this.#data = undefined;
    if (data !== undefined) this.#onEvent(data);
  }
}
