import { describe, expect, it } from 'vitest';
import { stepSeconds } from '../../../src/core/perf/step-cost.js';
import { simulate } from '../../../src/core/simulate.js';
import type { Workload } from '../../../src/core/workload/workload.js';
import { batch, pool } from './support.js';

/** One request at time 0. */
function lone(promptTokens: number, maxTokens: number): Workload {
  let given = false;
  return {
    next() {
      if (given) return undefined;
      given = true;
      return { at: 0, spec: { promptTokens, maxTokens } };
    },
    ended() {},
  };
}

describe('A lone request', () => {
  it.each([
    ['meta-llama/Llama-3.1-8B-Instruct', 'H100', 300, 50],
    ['meta-llama/Llama-3.1-8B-Instruct', 'A100', 5000, 20],
    ['openai/gpt-oss-20b', 'H100', 700, 40],
    ['qwen/Qwen3-30B-A3B', 'H200', 100, 64],
  ])('of %s on %s takes the sum of its steps', (model, hardware, prompt, output) => {
    const { cost, scheduler } = pool({
      model,
      hardware,
      engine: 'vllm-0.9',
      options: { inputLatencyMs: 0 },
    });
    const report = simulate({
      instances: [{ pool: 0, scheduler, cost }],
      router: 'round_robin',
      seed: 0,
      inputLatencyNs: 0,
      workload: lone(prompt, output),
      exact: true,
    });
    let seconds = 0;
    for (let done = 0; done < prompt; ) {
      const chunk = Math.min(scheduler.maxNumBatchedTokens, prompt - done);
      const shape = batch({ prefill: chunk, history: done });
      shape.prefillWindowPairs = windowPairs(done, chunk, cost.window);
      shape.numSampled = done + chunk === prompt ? 1 : 0;
      seconds += stepSeconds(cost, shape);
      done += chunk;
    }
    const ttft = seconds;
    for (let token = 1; token < output; token++) {
      seconds += stepSeconds(
        cost,
        batch({ numDecodes: 1, context: prompt + token, window: cost.window }),
      );
    }
    expect(report.ttft.meanMs).toBeCloseTo(ttft * 1000, 4);
    expect(report.e2el.meanMs).toBeCloseTo(seconds * 1000, 4);
  });
});

/** Pairs of (token, token it attends to) where each attends to at most `window` tokens, its own included. */
function windowPairs(history: number, chunk: number, window: number): number {
  let pairs = 0;
  for (let i = 1; i <= chunk; i++) pairs += Math.min(window, history + i);
  return pairs;
}
