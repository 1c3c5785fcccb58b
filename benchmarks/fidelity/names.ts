/** Models and GPUs as each source spells them, found among the package's own. */

import { listHardware } from '../../src/config/hardware.js';
import { listModels, loadModel } from '../../src/config/models.js';
import type { GpuSpec } from '../../src/core/model/gpu.js';
import type { ModelShape } from '../../src/core/model/model-shape.js';

/** Words that name a variant of the same shape; so does a length of context (`-128k`). */
const NOISE = new Set([
  'meta',
  'hf',
  'instruct',
  'it',
  'chat',
  'fp',
  'kv',
  'nvfp',
  'v',
  'b',
  'llm',
  'nvidia',
  'amd',
  'model',
  'base',
  'thinking',
  // Tuned further by NVIDIA.
  'nemotron',
]);

/** `meta-llama/Meta-Llama-3.1-8B-Instruct` and `LLaMA v3.1 8B` are both `llama 3.1 8`. */
function modelKey(name: string): string {
  const bare = name.slice(name.indexOf('/') + 1).toLowerCase();
  const cleaned = bare
    .replace(/v0\.\d/g, '')
    .replace(/[- ]\d+k\b/g, '')
    .replace(/nvfp4|mxfp4|fp8|fp4|bf16|[- ]0\d\d\d|-2\d\d\d|-hf/g, '')
    .replace('gptj', 'gpt-j');
  return (cleaned.match(/[a-z]+|\d+(\.\d+)?/g) ?? []).filter((word) => !NOISE.has(word)).join(' ');
}

const ours = listModels();
const models = new Map<string, string>();
for (const name of ours) if (!models.has(modelKey(name))) models.set(modelKey(name), name);

export function findModel(name: string): ModelShape | undefined {
  const same = ours.find((own) => own.toLowerCase() === name.toLowerCase());
  if (same !== undefined) return cached(same);
  const key = modelKey(name);
  // The first Llama has the second one's shapes.
  const found =
    models.get(key) ?? models.get(key.replace(/^llama (\d+)$/, 'llama 2 $1')) ?? only(key);
  return found === undefined ? undefined : cached(found);
}

/** The one model whose name goes on where this one ends: `Llama 4 Scout`. */
function only(key: string): string | undefined {
  const longer = [...models].filter(([name]) => key.includes(' ') && name.startsWith(`${key} `));
  return longer.length === 1 ? longer[0]![1] : undefined;
}

const shapes = new Map<string, ModelShape>();
function cached(name: string): ModelShape {
  const shape = shapes.get(name) ?? loadModel(name);
  shapes.set(name, shape);
  return shape;
}

const gpus = listHardware();
const plain = (text: string): string =>
  text.toLowerCase().replace(/nvidia|amd|instinct|sxm\d?|[^a-z0-9]/g, '');

/** The longest name or alias that the source's spelling contains; 40 GB parts are told by their memory. */
export function findGpu(name: string): GpuSpec | undefined {
  const word = plain(name);
  const candidates = gpus.flatMap((gpu) =>
    [gpu.name, ...gpu.aliases].map((alias) => ({ gpu, key: plain(alias) })),
  );
  const best = candidates
    .filter(({ key }) => word.includes(key))
    .reduce<{ gpu: GpuSpec; key: string } | undefined>(
      (a, b) => (a && a.key.length >= b.key.length ? a : b),
      undefined,
    );
  if (best?.gpu.name === 'A100' && /40\s?g/i.test(name))
    return gpus.find((gpu) => gpu.name === 'A100-40GB');
  return best?.gpu;
}

/** Models that share an architecture and its kernels: what is left out together. */
export function familyOf(model: ModelShape): string {
  return model.architecture.replace(/_text$/, '').replace(/^gemma\d?$/, 'gemma');
}
