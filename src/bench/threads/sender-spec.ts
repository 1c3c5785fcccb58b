/**
 * A sender as plain data, so that any thread can make one like it: what is the same for all requests of
 * a run. Secrets travel in memory only.
 */

import { tokenizerFor } from '../../text/index.js';
import type { BodySettings } from '../backends/backend.js';
import { backendNamed } from '../backends/index.js';
import { BodyEncoder } from '../body.js';
import { HttpClient } from '../http-client.js';
import { Sender, type SenderOptions } from '../sender.js';
import { ThreadMonitor } from '../thread-monitor.js';
import { estimator, type TokenCounter, tokenizerCounter } from '../token-counter.js';

export interface SenderSpec
  extends Omit<SenderOptions, 'client' | 'monitor' | 'backend' | 'encoder' | 'url' | 'counter'> {
  readonly backend: string;
  readonly url: string;
  readonly insecure: boolean;
  readonly settings: BodySettings;
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined;
  /** Whose tokens answers are counted in, where the server does not say; absent: estimated. */
  readonly tokenizer?: { readonly name: string; readonly path?: string | undefined } | undefined;
}

export interface OpenSender {
  readonly sender: Sender;
  readonly monitor: ThreadMonitor;
  close(): void;
}

/** @param counter of the spec's tokenizer, where it is loaded already */
export function openSender(spec: SenderSpec, counter: TokenCounter = estimator): OpenSender {
  const { insecure, settings, extraBody, ...rest } = spec;
  const backend = backendNamed(spec.backend);
  const monitor = new ThreadMonitor();
  const client = new HttpClient({ insecure, monitor });
  const sender = new Sender({
    ...rest,
    client,
    monitor,
    backend,
    encoder: new BodyEncoder(backend, settings, extraBody),
    url: new URL(spec.url),
    counter,
  });
  return { sender, monitor, close: () => client.close() };
}

export async function counterOf({ tokenizer }: SenderSpec): Promise<TokenCounter> {
  if (!tokenizer) return estimator;
  return tokenizerCounter((await tokenizerFor(tokenizer.name, tokenizer.path)).tokenizer);
}
