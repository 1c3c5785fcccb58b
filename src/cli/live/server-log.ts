/** The server's log, on stderr: one readable line per request, or JSON lines; both through pino. */

import pino, { type Logger } from 'pino';
import type { RequestLog } from '../../openai/index.js';

export interface ServerLogOptions {
  readonly json: boolean;
  readonly verbose: boolean;
  readonly write: (text: string) => void;
}

export class ServerLog {
  readonly #log: Logger;
  readonly #options: ServerLogOptions;

  constructor(options: ServerLogOptions) {
    const { json, verbose, write } = options;
    this.#options = options;
    const level = verbose ? 'debug' : 'info';
    this.#log = json
      ? pino({ level, base: null }, { write })
      : pino({ level, base: null, timestamp: false }, { write: (line) => write(readable(line)) });
  }

  info(message: string): void {
    this.#log.info(message);
  }

  debug(message: string): void {
    this.#log.debug(message);
  }

  warn(message: string): void {
    this.#log.warn(message);
  }

  request(request: RequestLog): void {
    const { delivery, refusal, method, path, status, id } = request;
    const fields = this.#options.json
      ? { id, method, path, status, ...(delivery && { ...delivery }), ...(refusal && { refusal }) }
      : {};
    const subject = `${method} ${path} ${status}`;
    const tail = this.#options.verbose ? `  [${id}]` : '';
    if (delivery) {
      const { promptTokens, outputTokens, cachedTokens, ttftMs, e2eMs, reason } = delivery;
      const cached = cachedTokens > 0 ? ` (${cachedTokens} cached)` : '';
      this.#log.info(
        fields,
        `${subject}  ${promptTokens} tokens in${cached}, ${outputTokens} out  TTFT ${ms(ttftMs)}, E2E ${ms(e2eMs)}  ${reason}${tail}`,
      );
    } else if (refusal) this.#log.warn(fields, `${subject}  refused: ${refusal}${tail}`);
    else this.#log.debug(fields, subject + tail);
  }
}

const ms = (value: number | undefined): string =>
  value === undefined ? '–' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

const WARN = 40;

/** A line of pino's, for people: the time of day and the message. */
function readable(line: string): string {
  const { level, msg } = JSON.parse(line) as { level: number; msg: string };
  const time = new Date().toTimeString().slice(0, 8);
  return `${time} ${level >= WARN ? 'warning: ' : ''}${msg}\n`;
}
