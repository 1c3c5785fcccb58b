import { describe, expect, it } from 'vitest';
import { backendNamed } from '../../src/bench/backends/index.js';
import { Measurement } from '../../src/bench/measurement.js';
import { newAnswer, type RequestRecord } from '../../src/bench/request.js';
import { type BenchConfig, type BenchResult, resultFileName } from '../../src/bench/result.js';
import { benchJson } from '../../src/bench/result-json.js';
import { resultTable } from '../../src/bench/result-table.js';
import { SseParser } from '../../src/bench/sse.js';
import { recordOf } from './records.js';

/**
 * Raw pieces of a stream with the times they came at, in ms since sending. What vLLM's client makes of it:
 *   chunks with choices at 100 (role only), 100 (Hi, same read), 130 (there), 170 (finish reason);
 *   usage at 171 is not a chunk, [DONE] at 172 neither
 *   TTFT 100, ITL 0, 30, 40, latency 170, output 2 tokens, TPOT (170 − 100) / 1 = 70
 */
const STREAM: readonly (readonly [atMs: number, piece: string])[] = [
  [
    100,
    'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\ndata: {"choices":[{"delta":{"content":"Hi"},"finish_reason":null}]}\n\n',
  ],
  [110, ': ping\n\ndata: {"choices":[{"delta":{"content":" th'],
  [130, 'ere"},"finish_reason":null}]}\n\n'],
  [170, 'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\r\n\r\n'],
  [171, 'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\n'],
  [172, 'data: [DONE]\n\n'],
];

/** What the client notes about the stream above, sent at `sentMs`. */
function recordAt(sentMs: number): RequestRecord {
  const answer = newAnswer();
  const chunkMs: number[] = [];
  let now = 0;
  let firstTokenMs: number | undefined;
  const parser = new SseParser((data) => {
    const kind = backendNamed('openai-chat').read(data, answer);
    if (kind !== 'none') chunkMs.push(now);
    if (kind === 'text') firstTokenMs ??= now;
  });
  for (const [atMs, piece] of STREAM) {
    now = sentMs + atMs;
    parser.push(Buffer.from(piece));
  }
  return recordOf({
    id: String(sentMs),
    scheduledMs: sentMs,
    dispatchedMs: sentMs,
    sentMs,
    firstChunkMs: chunkMs[0],
    firstTokenMs,
    lastChunkMs: chunkMs.at(-1),
    endedMs: now,
    chunkMs,
    numTextChunks: 2,
    promptTokens: answer.promptTokens!,
    outputTokens: answer.outputTokens!,
    text: answer.text,
  });
}

const CONFIG: BenchConfig = {
  date: new Date(2025, 9, 28, 13, 45, 1),
  backend: 'openai-chat',
  model: 'org/model',
  tokenizer: null,
  url: 'http://h/v1/chat/completions',
  dataset: 'random',
  numPrompts: 2,
  requestRate: 10,
  burstiness: 1,
  seed: 0,
  slo: { ttftMs: 100, tpotMs: 70, e2elMs: 170 },
  ttftMode: 'vllm',
  metadata: { note: 'x' },
  metrics: ['ttft', 'tpot', 'itl', 'e2el'],
  percentiles: [99],
};

function resultOf(change: Partial<BenchConfig> = {}): BenchResult {
  const config = { ...CONFIG, ...change };
  const measurement = new Measurement({ slo: config.slo, keepRecords: true });
  measurement.add(recordAt(0));
  measurement.add(recordAt(100));
  return {
    config,
    durationMs: 2_000,
    measured: measurement.result(),
    health: {
      bias: { sendMs: 0.1, receiveMs: 0.2 },
      limit: { chunksPerS: 34_567, requestsPerS: 540 },
      busiestFraction: 0.25,
      loopDelayP99Ms: 0,
      loopDelayMaxMs: 0,
      cpuFraction: 0,
      numThreads: 1,
    },
    stopped: false,
    changes: [],
  };
}

describe('the result of a recorded stream', () => {
  it("has vLLM's numbers", () => {
    expect(benchJson(resultOf(), true)).toMatchObject({
      date: '20251028-134501',
      note: 'x',
      duration: 2,
      completed: 2,
      total_input_tokens: 18,
      total_output_tokens: 4,
      request_throughput: 1,
      request_goodput: 1,
      input_throughput: 9,
      output_throughput: 2,
      total_token_throughput: 11,
      max_output_tokens_per_s: 8,
      max_concurrent_requests: 2,
      input_lens: [9, 9],
      output_lens: [2, 2],
      ttfts: [0.1, 0.1],
      itls: [
        [0, 0.03, 0.04],
        [0, 0.03, 0.04],
      ],
      generated_texts: ['Hi there', 'Hi there'],
      errors: ['', ''],
      mean_ttft_ms: 100,
      mean_tpot_ms: 70,
      median_itl_ms: 30,
      mean_e2el_ms: 170,
      std_e2el_ms: 0,
      p99_e2el_ms: 170,
    });
  });

  it('is printed as vLLM prints it', () => {
    const lines = resultTable(resultOf()).trimEnd().split('\n');
    expect(lines.slice(0, 18)).toEqual([
      '============ Serving Benchmark Result ============',
      'Successful requests:                     2         ',
      'Failed requests:                         0         ',
      'Request rate configured (RPS):           10.00     ',
      'Benchmark duration (s):                  2.00      ',
      'Total input tokens:                      18        ',
      'Total generated tokens:                  4         ',
      'Request throughput (req/s):              1.00      ',
      'Input token throughput (tok/s):          9.00      ',
      'Request goodput (req/s):                 1.00      ',
      'Output token throughput (tok/s):         2.00      ',
      'Peak output token throughput (tok/s):    8.00      ',
      'Peak concurrent requests:                2.00      ',
      'Total token throughput (tok/s):          11.00     ',
      '---------------Time to First Token----------------',
      'Mean TTFT (ms):                          100.00    ',
      'Median TTFT (ms):                        100.00    ',
      'P99 TTFT (ms):                           100.00    ',
    ]);
    expect(lines).toContain('-----Time per Output Token (excl. 1st token)------');
    expect(lines).toContain('---------------Inter-token Latency----------------');
    expect(lines).toContain('----------------End-to-end Latency----------------');
    expect(lines.at(-1)).toBe('='.repeat(50));
  });

  it('goes to a file of the name vLLM gives it', () => {
    const name = (change: Partial<BenchConfig>) => resultFileName({ ...CONFIG, ...change });
    expect(name({})).toBe('openai-chat-10.0qps-model-20251028-134501.json');
    expect(name({ requestRate: Infinity, maxConcurrency: 8, label: 'a' })).toBe(
      'a-infqps-concurrency8-model-20251028-134501.json',
    );
    expect(name({ rampUp: { strategy: 'linear', startRps: 1, endRps: 50 } })).toBe(
      'openai-chat-ramp-up-linear-1qps-50qps-model-20251028-134501.json',
    );
  });
});
