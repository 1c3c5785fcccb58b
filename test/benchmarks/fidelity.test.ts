/** The replay of published measurements, on rows written here. */

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { forgetting } from '../../benchmarks/fidelity/cross-validation.js';
import { errorTable, quantile } from '../../benchmarks/fidelity/errors.js';
import { descend, linearise } from '../../benchmarks/fidelity/fit.js';
import { mapRows } from '../../benchmarks/fidelity/mapping.js';
import { minimise } from '../../benchmarks/fidelity/minimise.js';
import { findGpu, findModel } from '../../benchmarks/fidelity/names.js';
import { objective } from '../../benchmarks/fidelity/objective.js';
import { Model } from '../../benchmarks/fidelity/parameters.js';
import { residualsOf, simulate } from '../../benchmarks/fidelity/residuals.js';
import { heldBack, readRows } from '../../benchmarks/fidelity/rows.js';

const HEADER =
  'source,model,params_note,gpu,num_gpus,tp,pp,dtype,engine,engine_version,input_len,output_len,concurrency,request_rate,metric,value,unit,note';

function rowsOf(...lines: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'rows-'));
  writeFileSync(join(folder, 'some.csv'), `${[HEADER, ...lines].join('\n')}\n`);
  return readRows(folder);
}

const CLOSED = (metric: string, value: number) =>
  `aiconfigurator_silicon,meta-llama/Llama-3.1-70B,gemm=fp8;moe=fp8;attention_dp=1;moe_tp=4;moe_ep=1,H100 SXM,4,4,1,fp8/,vLLM,0.11.2,1024,1024,4,,${metric},${value},ms,"InferenceX, measured"`;

describe('Fidelity replay', () => {
  it('shares one simulation between the metrics of a case, and scores each', () => {
    const { cases, unmapped } = mapRows(rowsOf(CLOSED('ttft', 90), CLOSED('tpot', 11)));
    expect(unmapped.size).toBe(0);
    expect(cases).toHaveLength(1);
    expect(cases[0]?.load).toMatchObject({
      kind: 'closed',
      clients: 4,
      numRequests: 40,
      input: { low: 820, high: 1024 },
    });
    const model = new Model(cases.map((c) => c.engine));
    const residuals = residualsOf(
      cases,
      model,
      model.parameters.map((p) => p.start),
    );
    expect(residuals.map((r) => r.comparison.metric)).toEqual(['ttft', 'tpot']);
    for (const r of residuals) expect(Math.abs(r.log)).toBeLessThan(0.5);
  });

  it('counts rows without a mapping, with the reason', () => {
    const { cases, unmapped } = mapRows(
      rowsOf(
        'llamacpp_gpu_benchmarks,Llama 3 8B,,H100,1,,,f16/f16,llama.cpp,,,1024,,,decode_speed,5,tok/s,',
        CLOSED('ttft', 90).replace('Llama-3.1-70B', 'Unheard-7B'),
        CLOSED('ttft', 90).replace('H100 SXM', 'Z9'),
      ),
    );
    expect(cases).toHaveLength(0);
    expect([...unmapped.keys()]).toEqual([
      'llamacpp_gpu_benchmarks: llama.cpp has no engine profile',
      'aiconfigurator_silicon: no model configuration for "meta-llama/Unheard-7B"',
      'aiconfigurator_silicon: no data sheet for "Z9"',
    ]);
  });

  it('starts servers as the scripts of InferenceX do', () => {
    const row = (engine: string, dtype: string, clients: number, note: string): string =>
      `aiconfigurator_silicon,deepseek-ai/DeepSeek-R1,gemm=x;attention_dp=1;moe_tp=8;moe_ep=1,B200 SXM,8,8,1,${dtype}/,${engine},1024,8192,${clients},,tpot,9,ms,"InferenceX, ${note}"`;
    const { cases } = mapRows(
      rowsOf(
        CLOSED('tpot', 11),
        row('SGLang,0.5.9', 'fp4', 64, 'measured 2026-03-25'),
        row('SGLang,0.5.9', 'fp8', 8, 'measured 2026-03-25'),
        row('TensorRT-LLM,1.1.0rc2.post2', 'fp8', 16, 'measured 2025-12-15'),
      ),
    );
    expect(cases.map(({ engine, options }) => ({ engine, ...options }))).toMatchObject([
      { engine: 'vllm-0.14', maxNumBatchedTokens: 8192 },
      { engine: 'sglang', schedulerRecvInterval: 30, maxNumBatchedTokens: 16_384 },
      { engine: 'sglang', schedulerRecvInterval: 10, maxNumBatchedTokens: 32_768 },
      { engine: 'trtllm-1.1.0rc2.post2', maxNumBatchedTokens: 1152 },
    ]);
  });

  it('keeps the KV cache in the precision that the script of each engine asks for', () => {
    const row = (model: string, gpu: string, engine: string): string =>
      `aiconfigurator_silicon,${model},gemm=x;attention_dp=1;moe_tp=8;moe_ep=1,${gpu},8,8,1,fp8/,${engine},1024,8192,8,,tpot,9,ms,InferenceX`;
    const { cases } = mapRows(
      rowsOf(
        row('deepseek-ai/DeepSeek-R1', 'H200 SXM', 'TensorRT-LLM,1.2'),
        row('deepseek-ai/DeepSeek-R1', 'H200 SXM', 'SGLang,0.5.9'),
        row('deepseek-ai/DeepSeek-R1', 'GB200', 'SGLang,0.5.9'),
        row('openai/gpt-oss-120b', 'H200 SXM', 'TensorRT-LLM,1.2'),
        row('meta-llama/Llama-3.1-70B', 'MI325X', 'vLLM,0.11'),
      ),
    );
    expect(cases.map((c) => c.options.kvCacheDtype)).toEqual([
      'fp8',
      undefined,
      'fp8',
      undefined,
      'fp8',
    ]);
  });

  it('simulates rows of any source as their columns say', () => {
    const own = (load: string, metric: string, note = '', engine = 'vLLM,0.11.0'): string =>
      `own,Qwen/Qwen3-32B,,H200,2,2,1,fp8/,${engine},1000,200,${load},${metric},${note}`;
    const { cases, unmapped } = mapRows(
      rowsOf(
        own('32,', 'ttft_p99,900,ms', '200 requests'),
        own('32,', 'tpot_mean,20,ms', '200 requests'),
        own('16,', 'batch_latency,5,s'),
        own(',4', 'e2e_p50,5,s').replace(',1000,', ',1000 (mean),'),
        own(',inf', 'output_throughput,5000,tok/s', 'offline; num_prompts 500', 'TensorRT-LLM,1.0'),
        own('32,', 'request_throughput,3,req/s', '', 'SGLang,'),
        own('32,', 'ttft_p99,900,ms', '', 'Other,1'),
        own(',', 'ttft_p99,900,ms'),
        own('1,', 'energy,1,J'),
      ),
    );
    expect(
      cases.map(({ engine, load, options, noEvict, comparisons }) => [
        engine,
        load.kind,
        load.kind === 'step' ? 0 : load.numRequests,
        options.inputLatencyMs,
        noEvict ?? false,
        comparisons.map((c) => c.measure),
      ]),
    ).toEqual([
      ['vllm-0.11.0', 'closed', 200, undefined, false, ['ttft_p99', 'tpot']],
      ['vllm-0.11.0', 'batch', 16, 0, false, ['makespan']],
      ['vllm-0.11.0', 'poisson', 1000, undefined, false, ['e2e_p50']],
      ['trtllm-1.0', 'batch', 500, 0, true, ['output_tps']],
      ['sglang', 'closed', 320, undefined, false, ['rps']],
    ]);
    expect(cases[2]?.load).toMatchObject({ input: { low: 1, high: 1999 } });
    expect([...unmapped.keys()]).toEqual([
      'own: no engine profile for "Other 1"',
      'own: neither clients nor a rate nor a count of requests',
      'own: metric energy',
    ]);
    const model = new Model(cases.map((c) => c.engine));
    const { residuals, refused } = simulate(
      cases,
      model,
      model.parameters.map((p) => p.start),
    );
    expect(refused.size).toBe(0);
    expect(residuals).toHaveLength(6);
    const [ttftP99, tpot] = residuals.map((r) => r.predicted);
    expect(ttftP99).toBeGreaterThan(tpot!);
  });

  it('says why the simulator refuses a row', () => {
    const { cases } = mapRows(
      rowsOf(
        CLOSED('tpot', 8)
          .replace('moe_tp=4', 'moe_tp=1')
          .replace('SXM,4,4', 'SXM,1,1')
          .replace('fp8/', 'bf16/'),
      ),
    );
    const model = new Model(['vllm-0.14']);
    const { refused } = simulate(
      cases,
      model,
      model.parameters.map((p) => p.start),
    );
    expect([...refused]).toEqual([['InferenceX: the model does not fit as laid out here', 1]]);
  });

  it('takes the rows that a split lists, and no others', () => {
    const rows = rowsOf(CLOSED('ttft', 90), CLOSED('tpot', 8));
    const split = join(mkdtempSync(join(tmpdir(), 'split-')), 'split');
    writeFileSync(split, 'some.csv:3\n');
    expect(heldBack(rows, split).map((row) => row.metric)).toEqual(['tpot']);
    writeFileSync(split, 'some.csv:9');
    expect(() => heldBack(rows, split)).toThrow(/--split: expected rows of the data.*some\.csv:9/);
    expect(() => heldBack(rows, `${split}.txt`)).toThrow(/--split: expected a readable file/);
    expect(() => readRows(`${split}.d`)).toThrow(/--data: expected a folder with CSV files/);
  });

  it("builds TensorRT-LLM's engines as each release of its page did", () => {
    const offline = (version: string, model: string, tp: number, dtype = 'fp8/fp8'): string =>
      `trtllm_perf_overview,${model},,H100,${tp},${tp},1,${dtype},TensorRT-LLM,${version},128,2048,,inf,output_throughput,1,tok/s,offline`;
    const { cases } = mapRows(
      rowsOf(
        offline('0.10.0', 'LLaMA v2 70B', 8),
        offline('0.12.0', 'LLaMA v2 70B', 8),
        offline('0.13.0', 'LLaMA v3.1 70B', 8),
        offline('0.15.0', 'LLaMA v3.1 70B', 8, '16-bit/16-bit'),
        offline('0.20', 'nvidia/Llama-3.3-70B-Instruct-FP8', 2),
      ),
    );
    expect(
      cases.map(({ noEvict, graphSizes, load, options: o }) => [
        noEvict,
        graphSizes?.slice(-2) ?? [],
        load.kind === 'step' ? 0 : 'numRequests' in load && load.numRequests,
        o.maxNumSeqs,
        o.maxNumBatchedTokens,
        o.gpuMemoryUtilization,
        o.enableChunkedPrefill,
      ]),
    ).toEqual([
      [false, [], 2000, 2048, 2048, 0.9, true],
      [true, [], 3000, 1024, 16_384, 0.99, true],
      [true, [], 3000, 8192, 16_384, 0.99, true],
      // (8 × 80 GiB − 141 GB) · 0.95 at 320 KiB a token: 742 sequences of 2,176 tokens.
      [true, [], 3000, 768, 2048, 0.95, true],
      // Batches are padded to captured sizes, of which the largest batch is one.
      [true, [256, 384], 3000, 384, 2048, 0.95, undefined],
    ]);
  });

  it('lets a whole prompt as long as the budget in beside decodes', () => {
    const offline = (input: number): string =>
      `trtllm_perf_overview,LLaMA v3.1 8B,,H100,1,1,1,fp8/fp8,TensorRT-LLM,0.15.0,${input},1024,,inf,output_throughput,1,tok/s,offline`;
    const { cases } = mapRows(rowsOf(offline(8000), offline(8192)));
    const model = new Model(['trtllm-0.15.0']);
    const start = model.parameters.map((p) => p.start);
    const [shorter, longer] = residualsOf(cases, model, start).map((r) => r.predicted);
    expect(longer! / shorter!).toBeGreaterThan(0.95);
  });

  it('refits downhill', () => {
    const { cases } = mapRows(rowsOf(CLOSED('ttft', 90), CLOSED('tpot', 8)));
    const model = new Model(['vllm-0.14']);
    const start = model.parameters.map((p) => p.start);
    const l = linearise(cases, model, start, () => {});
    const found = descend(l, cases, model);
    const of = ({ residuals, values }: typeof l): number => objective(residuals, model, values);
    expect(of(found)).toBeLessThan(0.8 * of(l));
  });

  it('knows of what is left out only the priors', () => {
    const onB200 = CLOSED('tpot', 6).replace('H100 SXM', 'B200 SXM');
    const { cases } = mapRows(rowsOf(CLOSED('tpot', 8), onB200));
    const model = new Model(['vllm-0.14']);
    const l = linearise(
      cases,
      model,
      model.parameters.map((p) => p.start),
      () => {},
    );
    const kept = cases.filter(({ gpu }) => gpu.name === 'H100');
    const values = forgetting(l, kept, model);
    const moved = model.parameters.filter((p, i) => values[i] !== p.start).map((p) => p.name);
    expect(moved).toContain('factor.7.gemmCompute8');
    expect(moved).not.toContain('constant.gemmCompute8');
    model.parameters.forEach((p, i) => {
      if (moved.includes(p.name)) expect(values[i]).toBe(p.prior);
    });
  });

  it('draws together what keeps hardware from its data sheet in several precisions', () => {
    const model = new Model(['vllm-0.14']);
    const linked = model.links.map(({ between }) => between.map((i) => model.parameters[i]!.name));
    expect(linked).toContainEqual(['factor.7.gemmCompute16', 'factor.7.gemmCompute8']);
    expect(linked).not.toContainEqual(['factor.5.gemmCompute16', 'factor.7.gemmCompute16']);
  });

  it.each([
    ['LLaMA v3.1 8B', 'meta-llama/Llama-3.1-8B-Instruct'],
    ['amd/Llama-3.1-405B-Instruct-FP8-KV', 'meta-llama/Llama-3.1-405B-Instruct'],
    ['LLaMA 7B', 'meta-llama/Llama-2-7b-hf'],
    ['Mixtral 8x7B', 'mistralai/Mixtral-8x7B-Instruct-v0.1'],
    ['nvidia/DeepSeek-R1-NVFP4', 'deepseek-ai/DeepSeek-R1'],
    ['Qwen/Qwen3-235B-A22B-Thinking-2507', 'qwen/Qwen3-235B-A22B'],
    ['microsoft/Phi-3-mini-128k-instruct', 'microsoft/Phi-3-mini-4k-instruct'],
    ['Llama4 Scout', 'meta-llama/Llama-4-Scout-17B-16E-Instruct'],
  ])('finds the model that %s is', (name, found) => {
    expect(findModel(name)?.name).toBe(found);
  });

  it.each([
    ['NVIDIA A100-SXM4-40GB', 'A100-40GB'],
    ['H100 80GB HBM3', 'H100'],
    ['B200 180GB', 'B200'],
    ['MI300X 192GB', 'MI300X'],
    ['RTX A6000 48GB', 'A6000'],
    ['RTX 6000 Ada 48GB', 'RTX6000-Ada'],
    ['RTX 6000 Pro Blackwell Server Edition', 'RTX-PRO-6000-Server'],
    ['H200 141GB HBM3', 'H200'],
  ])('finds the GPU that %s is', (name, found) => {
    expect(findGpu(name)?.name).toBe(found);
  });
});

describe('Error tables', () => {
  it('state median, 90th percentile and bias', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    const logs = [-0.1, 0.1, 0.2].map((log) => ({ log }));
    const [row] = errorTable(logs as never, () => ['all']);
    expect(row).toMatchObject({ rows: 3 });
    expect(row?.bias).toBeCloseTo(100 * Math.expm1(0.1), 9);
  });
});

describe('Nelder–Mead', () => {
  it('finds the least of a bent valley', () => {
    const [x, y] = minimise(([a, b]) => (1 - a!) ** 2 + 10 * (b! - a! * a!) ** 2, [-1, 1]);
    expect(x).toBeCloseTo(1, 4);
    expect(y).toBeCloseTo(1, 4);
  });
});
