/**
 * `/metrics` of the live server, under vLLM's names and with vLLM's buckets, so that its dashboards and
 * autoscalers read it as they are. Times are simulated; what vLLM has no name for is `llmservingsim_*`.
 */

import type { FinishReason } from '../../core/engine.js';
import { type SpeculationCounts, sumSpeculation } from '../../core/metrics/speculation-stats.js';
import type { RequestOutcome } from '../../core/trace/tracer.js';
import { NS_PER_S } from '../../core/units.js';
import { family, Histogram, type Labels, sample } from '../../report/prometheus.js';
import type { Served } from './served.js';

const TTFT = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
  160, 640, 2560,
];
const PER_TOKEN = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
];
const WHOLE = [
  0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
];
const TOKENS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5];

/** Histograms of requests that have ended: name, buckets, what it is, and the value of one request. */
const HISTOGRAMS: readonly (readonly [
  name: string,
  bounds: readonly number[],
  help: string,
  of: (outcome: RequestOutcome) => number | undefined,
])[] = [
  [
    'time_to_first_token_seconds',
    TTFT,
    'Arrival to first token.',
    (o) => seconds(o.arrivedAt, o.firstTokenAt),
  ],
  [
    'request_time_per_output_token_seconds',
    PER_TOKEN,
    'Mean time per token after the first.',
    tpot,
  ],
  [
    'e2e_request_latency_seconds',
    WHOLE,
    'Arrival to last token.',
    (o) => seconds(o.arrivedAt, o.lastTokenAt),
  ],
  [
    'request_queue_time_seconds',
    WHOLE,
    'Arrival to the first step.',
    (o) => seconds(o.arrivedAt, o.scheduledAt),
  ],
  [
    'request_prefill_time_seconds',
    WHOLE,
    'First step to first token.',
    (o) => seconds(o.scheduledAt, o.firstTokenAt),
  ],
  [
    'request_decode_time_seconds',
    WHOLE,
    'First token to last token.',
    (o) => seconds(o.firstTokenAt, o.lastTokenAt),
  ],
  ['request_prompt_tokens', TOKENS, 'Prompt tokens of a request.', ({ spec }) => spec.promptTokens],
  [
    'request_generation_tokens',
    TOKENS,
    'Output tokens of a request.',
    ({ outputTokens }) => outputTokens,
  ],
];

const seconds = (from: number | undefined, to: number | undefined): number | undefined =>
  from === undefined || to === undefined ? undefined : (to - from) / NS_PER_S;

function tpot({ firstTokenAt, lastTokenAt, outputTokens }: RequestOutcome): number | undefined {
  const span = seconds(firstTokenAt, lastTokenAt);
  return span === undefined || outputTokens < 2 ? undefined : span / (outputTokens - 1);
}

/** What has been counted of one model. */
interface Counted {
  readonly served: Served;
  readonly labels: Labels;
  readonly histograms: readonly Histogram[];
  readonly ended: Map<FinishReason, number>;
  preemptions: number;
  cachedTokens: number;
}

export class LiveMetrics {
  readonly #models: readonly Counted[];

  constructor(served: readonly Served[]) {
    this.#models = served.map((model) => {
      const counted: Counted = {
        served: model,
        labels: { model_name: model.name },
        histograms: HISTOGRAMS.map(([, bounds]) => new Histogram(bounds)),
        ended: new Map(),
        preemptions: 0,
        cachedTokens: 0,
      };
      model.cluster.outcomes$.subscribe((outcome) => count(counted, outcome));
      return counted;
    });
  }

  /** The body of `GET /metrics`. */
  text(): string {
    return [
      ...this.#gauges(),
      ...this.#counters(),
      ...this.#speculation(),
      ...this.#histograms(),
    ].join('');
  }

  #gauges(): string[] {
    const perInstance = (of: (snapshot: Snapshot) => number) => (name: string) =>
      this.#models.flatMap(({ served, labels }) =>
        served.cluster
          .snapshot()
          .map((s) => sample(name, { ...labels, engine: String(s.instance) }, of(s))),
      );
    const gauge = (name: string, help: string, lines: (name: string) => string[]) =>
      family(name, 'gauge', help, lines(name));
    return [
      gauge(
        'vllm:num_requests_running',
        'Requests in the batch.',
        perInstance((s) => s.numRunning),
      ),
      gauge(
        'vllm:num_requests_waiting',
        'Requests in the queue.',
        perInstance((s) => s.numWaiting),
      ),
      gauge(
        'vllm:kv_cache_usage_perc',
        'Fraction of KV blocks in use, in [0, 1].',
        perInstance((s) => 1 - s.freeBlocks / s.numBlocks),
      ),
      gauge('llmservingsim_lag_seconds', 'How late tokens leave: moving mean.', (name) =>
        this.#models.map(({ served, labels }) =>
          sample(name, labels, served.cluster.lag.ms.mean / 1e3),
        ),
      ),
    ];
  }

  #counters(): string[] {
    const counter = (name: string, help: string, of: (counted: Counted) => number) =>
      family(
        name,
        'counter',
        help,
        this.#models.map((counted) => sample(name, counted.labels, of(counted))),
      );
    const success = 'vllm:request_success_total';
    return [
      counter('vllm:prompt_tokens_total', 'Prompt tokens of answered requests.', (m) => {
        return m.served.cluster.counts.promptTokens;
      }),
      counter('vllm:generation_tokens_total', 'Tokens generated.', (m) => {
        return m.served.cluster.counts.outputTokens;
      }),
      counter(
        'vllm:prompt_tokens_cached_total',
        'Prompt tokens found in the prefix cache.',
        (m) => {
          return m.cachedTokens;
        },
      ),
      counter('vllm:num_preemptions_total', 'Preemptions.', (m) => m.preemptions),
      family(
        success,
        'counter',
        'Requests that have ended, by reason.',
        this.#models.flatMap(({ labels, ended }) =>
          [...ended].map(([reason, n]) =>
            sample(success, { ...labels, finished_reason: reason }, n),
          ),
        ),
      ),
    ];
  }

  /** Of the models that speculate; nothing when none does. */
  #speculation(): string[] {
    const drafting = this.#models.flatMap(({ served, labels }) => {
      const counts = sumSpeculation(served.cluster.snapshot().map((s) => s.speculation));
      return counts ? [{ labels, counts }] : [];
    });
    if (drafting.length === 0) return [];
    const counter = (name: string, help: string, of: (counts: SpeculationCounts) => number) =>
      family(
        name,
        'counter',
        help,
        drafting.map(({ labels, counts }) => sample(name, labels, of(counts))),
      );
    const perPosition = 'vllm:spec_decode_num_accepted_tokens_per_pos_total';
    return [
      counter(
        'vllm:spec_decode_num_drafts_total',
        'Requests × steps in which drafts were verified.',
        (c) => c.numDrafts,
      ),
      counter(
        'vllm:spec_decode_num_draft_tokens_total',
        'Draft tokens verified.',
        (c) => c.draftTokens,
      ),
      counter(
        'vllm:spec_decode_num_accepted_tokens_total',
        'Draft tokens that held.',
        (c) => c.acceptedTokens,
      ),
      family(
        perPosition,
        'counter',
        'Draft tokens that held, by position.',
        drafting.flatMap(({ labels, counts }) =>
          counts.acceptedPerPosition.map((held, i) =>
            sample(perPosition, { ...labels, position: String(i) }, held),
          ),
        ),
      ),
    ];
  }

  #histograms(): string[] {
    return HISTOGRAMS.map(([name, , help], i) =>
      family(
        `vllm:${name}`,
        'histogram',
        help,
        this.#models.flatMap(({ labels, histograms }) =>
          histograms[i]!.lines(`vllm:${name}`, labels),
        ),
      ),
    );
  }
}

type Snapshot = ReturnType<Served['cluster']['snapshot']>[number];

function count(counted: Counted, outcome: RequestOutcome): void {
  const { reason } = outcome;
  counted.ended.set(reason, (counted.ended.get(reason) ?? 0) + 1);
  counted.preemptions += outcome.numPreemptions;
  if (reason !== 'stop' && reason !== 'length') return;
  counted.cachedTokens += outcome.cachedTokens;
  HISTOGRAMS.forEach(([, , , of], i) => {
    const value = of(outcome);
    if (value !== undefined) counted.histograms[i]!.observe(value);
  });
}
