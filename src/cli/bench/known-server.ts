/**
 * A server whose times are known: our own, in a process of its own, or one that was started with the same
 * times. It says itself how late it is.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { baseOf } from '../../bench/endpoint.js';
import { HttpClient } from '../../bench/http-client.js';
import { dataPath } from '../../config/data-dir.js';
import { ConfigError } from '../../core/errors.js';

export interface KnownTimes {
  readonly ttftMs: number;
  readonly itlMs: number;
}

const SAMPLE_EVERY_MS = 200;

/** Asks a server of ours how late it is, while it is measured. */
export class LagSampler {
  readonly #client = new HttpClient();
  readonly #url: URL;
  readonly #samples: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #last: Promise<void> = Promise.resolve();

  constructor(baseUrl: string) {
    this.#url = new URL('/status', baseOf({ baseUrl }));
    this.#timer = setInterval(() => {
      this.#last = this.#sample();
    }, SAMPLE_EVERY_MS);
  }

  /** The median; `undefined` where the server does not say. */
  async stop(): Promise<number | undefined> {
    clearInterval(this.#timer);
    await this.#last;
    this.#client.close();
    return this.#samples.sort((a, b) => a - b)[this.#samples.length >> 1];
  }

  async #sample(): Promise<void> {
    let text = '';
    const onData = (bytes: Buffer) => {
      text += bytes.toString('utf8');
    };
    const url = this.#url;
    await this.#client.exchange({ url, method: 'GET', headers: {}, timeoutMs: 1e3, onData });
    const lag = /"lag_ms":([\d.]+)/.exec(text)?.[1];
    if (lag !== undefined) this.#samples.push(Number(lag));
  }
}

const STARTS_WITHIN_MS = 20_000;

export interface KnownServer {
  readonly url: string;
  stop(): void;
}

/** @param url one that is started already */
export async function knownServer(
  { ttftMs, itlMs }: KnownTimes,
  url?: string | undefined,
): Promise<KnownServer> {
  if (url !== undefined) return { url, stop() {} };
  const bin = dataPath('src/cli/bin.js');
  if (!existsSync(bin)) {
    throw new ConfigError('--base-url', 'a server with known times', undefined);
  }
  const times = [`--time-to-first-token=${ttftMs}`, `--inter-token-latency=${itlMs}`];
  const child = spawn(process.execPath, [bin, 'server', '--port=0', '--grpc-port=0', ...times], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return { url: await addressOf(child), stop: () => void child.kill() };
}

/** The address a server says when it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    const fail = () => {
      child.kill();
      reject(new ConfigError('--base-url', 'our own server to start', said.slice(0, 200)));
    };
    const timer = setTimeout(fail, STARTS_WITHIN_MS);
    child.once('exit', fail);
    child.stdout!.on('data', (bytes: Buffer) => {
      said += bytes.toString('utf8');
      const url = /OpenAI +(http:\S+)/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      child.off('exit', fail);
      resolve(url);
    });
  });
}
