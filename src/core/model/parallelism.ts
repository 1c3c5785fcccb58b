/**
 * How one instance is spread over GPUs: TP slices every layer, PP gives each GPU some of the layers,
 * DP ranks hold whole attention layers and share the experts, EP gives each GPU whole experts.
 */

import { ConfigError } from '../errors.js';
import type { ModelShape } from './model-shape.js';

export interface Layout {
  readonly tp: number;
  readonly pp: number;
  readonly dp: number;
  readonly expertParallel: boolean;
}

export const numGpusOf = (layout: Layout): number => layout.tp * layout.pp * layout.dp;

/** KV heads one GPU holds: beyond one GPU per head they are replicated. */
export const kvHeadsPerGpu = (m: ModelShape, layout: Layout): number =>
  m.mla ? 1 : Math.max(1, m.numKvHeads / layout.tp);

/**
 * @throws {ConfigError} for layouts no engine would start: naming the sizes that would work.
 */
export function checkLayout(m: ModelShape, layout: Layout): void {
  const { tp, pp, dp } = layout;
  for (const [flag, size] of [
    ['--tensor-parallel-size', tp],
    ['--pipeline-parallel-size', pp],
    ['--data-parallel-size', dp],
  ] as const) {
    if (!Number.isInteger(size) || size < 1)
      throw new ConfigError(flag, 'a whole number, at least 1', size);
  }
  const fits = (n: number): boolean =>
    m.numHeads % n === 0 &&
    (n % m.numKvHeads === 0 || m.numKvHeads % n === 0 || m.mla !== undefined);
  if (!fits(tp)) {
    const sizes = Array.from({ length: Math.min(m.numHeads, 64) }, (_, i) => i + 1).filter(fits);
    throw new ConfigError(
      '--tensor-parallel-size',
      `a divisor of the ${m.numHeads} attention heads of ${m.name} (${m.numKvHeads} KV heads)`,
      tp,
      `sizes that work: ${sizes.join(', ')}`,
    );
  }
  if (pp > m.numLayers) {
    throw new ConfigError(
      '--pipeline-parallel-size',
      `at most the ${m.numLayers} layers of ${m.name}`,
      pp,
    );
  }
  if (layout.expertParallel && !m.moe) {
    throw new ConfigError('--enable-expert-parallel', 'a model with experts', m.name);
  }
  if (layout.expertParallel && m.moe && m.moe.numExperts % (tp * dp) !== 0) {
    const sizes = Array.from({ length: 64 }, (_, i) => i + 1).filter(
      (n) => m.moe!.numExperts % n === 0,
    );
    throw new ConfigError(
      '--enable-expert-parallel',
      `tp × dp to divide the ${m.moe.numExperts} experts of ${m.name}`,
      tp * dp,
      `products that work: ${sizes.join(', ')}`,
    );
  }
}
