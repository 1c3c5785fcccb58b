import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readScenarioFile, scenarioFromData } from '../../src/config/scenario-file.js';
import { loadField, poolField, requestFromProto } from '../../src/config/scenario-from-proto.js';
import {
  loadFromRequest,
  type PoolRequest,
  poolFromRequest as poolFrom,
} from '../../src/config/scenario-request.js';

const pool = { model: 'qwen/Qwen3-8B', hardware: 'A100' };
const read = (data: unknown) => requestFromProto(scenarioFromData(data, 's.yaml'), 's.yaml');
const poolFromRequest = (request: PoolRequest, name: (field: string) => string) =>
  poolFrom(request, name, () => [[1]]);

describe('scenario file', () => {
  it('is the proto message in its field names', () => {
    const request = read({
      seed: 7,
      pools: [{ ...pool, num_instances: 2, options: { max_num_seqs: 8, watermark: 0 } }],
      workload: { request_rate: 'inf', num_prompts: 5, random: { random_input_len: 9 } },
    });
    expect(request.seed).toBe(7);
    expect(request.router).toBeUndefined();
    expect(request.pools[0]).toMatchObject({ ...pool, numInstances: 2 });
    expect(request.pools[0]!.options).toEqual({ maxNumSeqs: 8, watermark: 0 });
    expect(loadFromRequest(request.load)).toMatchObject({
      numPrompts: 5,
      requestRate: Infinity,
      source: { kind: 'random', inputLen: 9, outputLen: 128 },
    });
  });

  it('reads the example, in YAML and in JSON', async () => {
    const scenario = await readScenarioFile('examples/scenario.yaml');
    expect(scenario.pools[0]!.options!.maxNumBatchedTokens).toBe(4096);
    const folder = mkdtempSync(join(tmpdir(), 'scenario-'));
    const path = join(folder, 's.json');
    writeFileSync(path, JSON.stringify({ pools: [pool] }));
    expect((await readScenarioFile(path)).pools[0]!.model).toBe('qwen/Qwen3-8B');
    rmSync(folder, { recursive: true });
  });

  it.each<[unknown, string]>([
    [
      { pools: [{ ...pool, options: { max_num_seq: 8 } }] },
      's.yaml: pools[0].options.max_num_seq: expected a field of EngineOptions, got "max_num_seq"\nDid you mean max_num_seqs?',
    ],
    [
      { pool: [] },
      's.yaml: pool: expected one of seed, router, pools, workload, got "pool"\nDid you mean pools?',
    ],
    [
      { pools: [{ ...pool, options: { max_num_seqs: 'many' } }] },
      's.yaml: pools[0].options.max_num_seqs: expected a whole number of at least 0, got "many"',
    ],
    [
      { pools: [{ ...pool, options: { enable_chunked_prefill: 1 } }] },
      's.yaml: pools[0].options.enable_chunked_prefill: expected true or false, got 1',
    ],
    [{ pools: [{ model: 5, hardware: 'A100' }] }, 's.yaml: pools[0].model: expected a text, got 5'],
    [
      { pools: pool },
      's.yaml: pools: expected a list, got {"model":"qwen/Qwen3-8B","hardware":"A100"}',
    ],
    [{ pools: [] }, 's.yaml: pools: expected at least one pool, got nothing'],
    [
      { pools: [{ hardware: 'A100' }] },
      's.yaml: pools[0].model: expected the name of a model, got nothing',
    ],
    [[], 's.yaml: expected the fields of a Scenario, got []'],
    [
      { pools: [pool], workload: { request_rate: 'fast' } },
      's.yaml: workload.request_rate: expected a number or inf, got "fast"',
    ],
    [
      { pools: [pool], workload: { random: {}, trace: { path: 'x' } } },
      's.yaml: workload: expected only one of random, trace, requests, got "also trace"',
    ],
    [
      {
        pools: [pool],
        workload: {
          requests: {
            requests: [{ arrival_ms: 5, prompt_tokens: 1, output_tokens: 1 }, { arrival_ms: 4 }],
          },
        },
      },
      's.yaml: workload.requests.requests[1].arrival_ms: expected a time not before the request above, got 4',
    ],
  ])('refuses %j', (data, message) => {
    expect(() => read(data)).toThrow(message);
  });

  it('names the line of broken YAML, and a missing file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'scenario-'));
    const path = join(folder, 'bad.yaml');
    writeFileSync(path, 'seed: 1\npools: [\nrouter: x\n');
    await expect(readScenarioFile(path)).rejects.toThrow(/bad\.yaml:\d+: expected YAML, got/);
    await expect(readScenarioFile(join(folder, 'none.yaml'))).rejects.toThrow(
      '--config: expected a readable scenario file, got "no such file',
    );
    rmSync(folder, { recursive: true });
  });

  it('yields requests given one by one', () => {
    const { load } = read({
      pools: [pool],
      workload: {
        requests: {
          requests: [{ request_id: 'a', arrival_ms: 1.5, prompt_tokens: 3, output_tokens: 2 }],
        },
      },
    });
    const source = load.requests!();
    expect(source.next()).toEqual({
      at: 1.5e6,
      spec: { id: 'a', promptTokens: 3, maxTokens: 2, priority: 0 },
    });
    expect(source.next()).toBeUndefined();
  });
});

describe('pool request', () => {
  const at = poolField('s.yaml', 0);

  it('overrides memory, and takes GPUs as tensor parallelism', () => {
    const spec = poolFromRequest({ ...pool, npuNum: 4, npuMem: 40, options: {} }, at);
    expect(spec.hardware.memoryBytes).toBe(40 * 2 ** 30);
    expect(spec.options.tensorParallelSize).toBe(4);
    expect(spec.engine).toBe('vllm');
  });

  it.each<[object, string]>([
    [
      { npuNum: 4, options: { tensorParallelSize: 2 } },
      's.yaml: pools[0].npu_num: expected the product of the tensor, pipeline and data parallel sizes (2 × 1 × 1), got 4',
    ],
    [
      { numInstances: 0 },
      's.yaml: pools[0].num_instances: expected a whole number of at least 1, got 0',
    ],
    [
      { options: { gpuMemoryUtilization: 1.5 } },
      's.yaml: pools[0].options.gpu_memory_utilization: expected a number above 0 and at most 1, got 1.5',
    ],
    [
      { options: { blockSize: 0 } },
      's.yaml: pools[0].options.block_size: expected a whole number of at least 1, got 0',
    ],
  ])('refuses %j', (change, message) => {
    expect(() => poolFromRequest({ ...pool, options: {}, ...change }, at)).toThrow(message);
  });

  it('spells fields of the load where they stand', () => {
    expect(loadField('s.yaml')('request_rate')).toBe('s.yaml: workload.request_rate');
    expect(loadField('s.yaml')('trace_speed')).toBe('s.yaml: workload.trace.speed');
  });
});
