/**
 * Probes: requests for one token, one at a time with a pause between, beside the load and past its bound on
 * concurrency. Their latency says how quickly a server under this load still answers the smallest question;
 * nothing else of the run counts them. `--probe-request-rate` of `vllm bench serve`.
 */

import type { LatencySummary } from '../core/metrics/report.js';
import { latenciesOf } from './measurement.js';
import { waitUntil } from './pacer.js';
import type { RequestRecord } from './request.js';
import { Samples } from './samples.js';
import type { LoadSender } from './threads/spread-sender.js';

export interface Probed {
  readonly failed: number;
  /** Of those that were answered. */
  readonly e2el: LatencySummary;
}

export interface ProbeOptions {
  readonly sender: Pick<LoadSender, 'send' | 'idled'>;
  /** Probes per second, if each were answered at once. */
  readonly rate: number;
  readonly originMs: number;
  /** Of the run. */
  readonly signal?: AbortSignal | undefined;
}

/** Sends probes until `stop` aborts; the one under way then is not waited for. */
export async function probe(options: ProbeOptions, stop: AbortSignal): Promise<Probed> {
  const { sender, rate } = options;
  const e2el = new Samples();
  let failed = 0;
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  for (let i = 0; !stop.aborted; i++) {
    const record = await Promise.race([probeOnce(options, i), stopped]);
    if (!record || options.signal?.aborted) break;
    if (record.failure) failed++;
    else e2el.add(latenciesOf(record).e2elMs);
    await waitUntil(performance.now() + 1e3 / rate, stop, (ms) => sender.idled(ms));
  }
  return { failed, e2el: e2el.summary() };
}

function probeOnce(
  { sender, originMs, signal }: ProbeOptions,
  index: number,
): Promise<RequestRecord> {
  const now = performance.now();
  const times = { originMs, scheduledMs: now, dispatchedMs: now };
  const request = { id: `probe-${index}`, prompt: 'Hi', promptTokens: 1, maxTokens: 1 };
  return sender.send(request, times, signal);
}
