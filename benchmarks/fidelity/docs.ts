/** Writes docs/fidelity.md: the figures as measured by this command, and how to repeat them. */

import { writeFileSync } from 'node:fs';
import { dataPath } from '../../src/config/data-dir.js';
import { generationOfCase } from './case.js';
import type { LeftOut } from './cross-validation.js';
import { errorTable, markdown } from './errors.js';
import type { Mapped } from './mapping.js';
import { scatterPlot } from './plot.js';
import type { Residual } from './residuals.js';
import { leftOutTables, targetTable } from './tables.js';

export function writeDocs(
  mapped: Mapped,
  residuals: readonly Residual[],
  leftOut: readonly LeftOut[],
  operators: string | undefined,
): void {
  const unmapped = [...mapped.unmapped].map(([reason, rows]) => `| ${reason} | ${rows} |`);
  const cases = mapped.cases.length;
  if (leftOut.length > 0)
    writeFileSync(dataPath('perf_model', 'efficiency', 'errors.json'), errorsFile(leftOut));
  writeFileSync(dataPath('docs', 'fidelity.svg'), scatterPlot(residuals));
  writeFileSync(
    dataPath('docs', 'fidelity.md'),
    `# How right the numbers are

Every figure on this page was measured by \`npm run fidelity -- --data DIR --leave-one-out --docs\`: published
measurements of real servers, each replayed through the engine with the load it was measured under
(${residuals.length} rows, ${cases} simulations), and compared. Errors are absolute and relative, in percent; bias is the median signed error
(positive: predicted higher than measured).

The analytic cost model has about 35 constants for all GPUs and models and ten per generation of a serving engine
([cost-model.md](cost-model.md)). They started from operator tables (GEMM, attention, all-reduce of A100, H100, A40, RTX 3090, RTX 4090) and were
then moved on these rows by damped Gauss–Newton steps until none gained anything, and last one at a time, held near the tables by priors. No constant
belongs to a model; factors on a GPU exist only where there is an operator table of it, and for two groups of hardware: AMD, and Blackwell data-centre parts.
Terms of two generations of one code are drawn together, and so are factors on one group of hardware in several precisions.

## Left out: what to expect for hardware, models and servers never seen

Constants refitted without one GPU, one family of models or one source at a time, and tested on what was left out. A refit goes downhill
from the full fit on simulations of the rows that are kept (all their derivatives are taken once, at the full fit), until a step gains less than
a thousandth; every step is simulated at four dampings. Constants that nothing kept depends on are forgotten: they go back to their priors. Priors are operator tables, data sheets and reading of code; those of host costs by engine began as an earlier fit's and are wide;
those of AMD, of rows of padding, of choosing a token, of what vLLM V0 pays for each token of context and each further GPU, and how wide that of launching a layer is, were
chosen by someone who had seen the residuals. Without MI300X nothing measured on AMD is left, and without Argonne nothing on AMD of vLLM before 0.6.2.

${leftOut.length > 0 ? leftOutTables(leftOut) : 'Not measured in this run.'}

## On the rows they were fitted on

${targetTable(residuals)}

${markdown(
  ['source', 'metric', 'engine', 'GPU', 'kind'],
  errorTable(residuals, (r) => [
    r.case.source,
    r.comparison.metric,
    generation(r.case.engine),
    r.case.gpu.name,
    r.case.model.moe ? 'experts' : 'dense',
  ]),
)}

![predicted against measured](fidelity.svg)

## Single operators

${operators ?? 'No tables in this run.'}

One shape of function per operator for all GPUs; its constants fitted to every other row of a table and scored on the rest. Calls under 50 µs are
left out: there launches decide, which a step pays differently inside a CUDA graph. The constants are, in order: GEMM: fraction of peak, of bandwidth,
launch (s), exponent; decode attention: fraction of bandwidth, launch, per (sequence × KV head); prefill attention: fraction of peak, pairs per token on the
diagonal, launch, corner; all-reduce: latency, more per rank, fraction of the link, corner.

## Rows without a simulation

| reason | rows |
|---|---:|
${unmapped.join('\n')}

## What is known to be weak

- TTFT of DeepSeek-class models is a tenth of a second longer than prefill explains, on TensorRT-LLM and SGLang alike, at any concurrency and output length, and
  their steps show none of it: a constant of the model (\`latent_attention_latency_seconds\`) without a mechanism.
- TTFT of vLLM on B200 with 4 and 8 GPUs is higher than on H100 and spreads by a third between neighbours; predictions are low there with many clients.
  Its flags there (no graphs for steps with prefill, norms and quantising called from Python) are simulated as launches that take 1.6 times as long: an argument by
  another engine that launches from Python, which these very rows confirm and no refit moves.
- How much memory the buffers of TensorRT-LLM's C++ runtime take was found on a grid, by the throughput of engines built with known limits (0.11 to 0.15), and stays
  where it is in the refits above. 70B models in 16 bits on 8 GPUs with long outputs are predicted 10 % too fast in the middle, and up to a quarter; models of 7 and 8 billion 10 % too slow.
- Limits that a page does not state (two of TensorRT-LLM's layouts, Argonne's engines) are those its builder would choose, or the least that fits.
- Tokenising is told from other input latency only by prompts of a thousand tokens that arrive together: that it grows with the prompt is reasoned, not measured.
- Prompts held back for company or a poll (InferenceX: TensorRT-LLM, SGLang) wait as their scripts say (\`batch_wait_timeout_iters\`, \`scheduler_recv_interval\`). Data-parallel
  ranks of TensorRT-LLM that wait for each other are simulated by half the steps that it takes until each has a prompt: here a rank waits by itself.
- Servers beyond capacity: a few per cent of step time become any factor of TTFT there; compare throughput.
- Tensor parallelism over PCIe is known by all-reduces of four GPUs alone, and by none where boards cannot write to each other (GeForce): reports say so.
- Loads whose prompts are unpublished (ML.ENERGY) are compared by single steps or with an assumed prompt of 200 tokens.
`,
  );
}

/** `vllm-0.11.1` is of the generation `vllm-0.11`. */
const generation = (engine: string): string => /^[a-z]+(-\d+\\.\d+)?/.exec(engine)?.[0] ?? engine;

const METRICS: Readonly<Record<string, string>> = {
  ttft: 'ttft',
  tpot: 'tpot',
  'e2e (batch)': 'e2el',
  e2e: 'e2el',
  'output tok/s': 'output_throughput',
  'total tok/s': 'output_throughput',
};

/** What reports say of their own error: by metric, kind of model, vendor and engine generation. */
function errorsFile(leftOut: readonly LeftOut[]): string {
  const reported = leftOut.filter((r) => r.comparison.metric in METRICS);
  const table = errorTable(reported, (r) => [
    METRICS[r.comparison.metric]!,
    r.case.model.moe ? 'experts' : 'dense',
    r.case.gpu.vendor,
    generationOfCase(r.case),
  ]);
  const errors = table.map(
    ({ group: [metric, kind, vendor, engine], rows, medianError, p90Error }) => ({
      metric,
      kind,
      vendor,
      engine,
      rows,
      median_percent: Number(medianError.toFixed(1)),
      p90_percent: Number(p90Error.toFixed(1)),
    }),
  );
  return `${JSON.stringify({ source: 'npm run fidelity -- --data DIR --leave-one-out --docs', errors }, null, 2)}\n`;
}
