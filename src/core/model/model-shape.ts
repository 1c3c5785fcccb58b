/**
 * A model as serving sees it: layers, heads, widths. Derived from the fields of a Hugging Face
 * `config.json`; weights and vocabulary never appear.
 */

export interface ModelShape {
  /** `org/name`, as users type it. */
  readonly name: string;
  readonly architecture: string;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  /** Matrices of the MLP: 3 when gated (gate, up, down), else 2. */
  readonly numMlpMatrices: 2 | 3;
  readonly vocabSize: number;
  readonly tieWordEmbeddings: boolean;
  readonly maxPositionEmbeddings: number;
  /** Data type of the checkpoint: `bfloat16`, `float16`. */
  readonly dtype: string;
  /** How the checkpoint is quantised (`fp8`, `awq`, `mxfp4`, …: names of `perf/precision.ts`), if it is. */
  readonly quantization?: string;
  /** Biases, norms and learned positions: everything that is not a matrix. */
  readonly numOtherParameters: number;
  /** Normalisations in a layer: each is a kernel of its own. Absent: 2. */
  readonly numNormsPerLayer?: number;
  /** Attention window of the layers that have one, and how many layers those are. */
  readonly slidingWindow?: { readonly tokens: number; readonly numLayers: number };
  readonly moe?: {
    readonly numExperts: number;
    readonly numExpertsPerToken: number;
    readonly expertIntermediateSize: number;
    readonly sharedExpertIntermediateSize: number;
    /** Layers that have experts; the others have the dense MLP of `intermediateSize`. */
    readonly numLayers: number;
  };
  /** Multi-head latent attention: what is cached is one latent and one rotary key per token. */
  readonly mla?: {
    readonly kvLoraRank: number;
    readonly ropeHeadDim: number;
    readonly nopeHeadDim: number;
    readonly valueHeadDim: number;
    readonly qLoraRank: number;
  };
  /** Layers without a growing KV cache (Mamba, linear attention). */
  readonly linearAttention?: {
    readonly numLayers: number;
    /** State of one sequence, summed over those layers. */
    readonly stateBytesPerSeq: number;
    /** Matrix parameters of one such layer's mixer. */
    readonly numParametersPerLayer: number;
  };
  /** Whether the query projection also yields a gate of the attention output (twice as wide). */
  readonly attentionGate?: boolean;
}

/** Layers with full or windowed attention, which cache keys and values. */
export const numAttentionLayers = (m: ModelShape): number =>
  m.numLayers - (m.linearAttention?.numLayers ?? 0);

/** Attention layers whose cache grows with the whole context. */
export const numFullAttentionLayers = (m: ModelShape): number =>
  numAttentionLayers(m) - (m.slidingWindow?.numLayers ?? 0);

/** Matrix parameters of one attention block. */
export function numAttentionParameters(m: ModelShape): number {
  const h = m.hiddenSize;
  if (m.mla) {
    const { kvLoraRank, ropeHeadDim, nopeHeadDim, valueHeadDim, qLoraRank } = m.mla;
    const queryWidth = m.numHeads * (nopeHeadDim + ropeHeadDim);
    const query = qLoraRank > 0 ? h * qLoraRank + qLoraRank * queryWidth : h * queryWidth;
    const keyValue = h * (kvLoraRank + ropeHeadDim);
    const up = kvLoraRank * m.numHeads * (nopeHeadDim + valueHeadDim);
    return query + keyValue + up + m.numHeads * valueHeadDim * h;
  }
  const queryWidth = m.numHeads * m.headDim;
  const projections = queryWidth * (m.attentionGate ? 2 : 1) + 2 * m.numKvHeads * m.headDim;
  return h * projections + queryWidth * h;
}

/** Parameters of one expert. */
export const numExpertParameters = (m: ModelShape): number =>
  m.moe ? m.numMlpMatrices * m.hiddenSize * m.moe.expertIntermediateSize : 0;

/** Parameters of the checkpoint: what the published count of a model counts. */
export function numParameters(m: ModelShape): number {
  const experts = m.moe ? m.moe.numLayers * m.moe.numExperts * numExpertParameters(m) : 0;
  return numSharedParameters(m) + experts;
}

/** Parameters that one token meets: of the experts, only those it is sent to. */
export function numActiveParameters(m: ModelShape): number {
  const experts = m.moe ? m.moe.numLayers * m.moe.numExpertsPerToken * numExpertParameters(m) : 0;
  return numSharedParameters(m) + experts;
}

/** Everything except routed experts. */
function numSharedParameters(m: ModelShape): number {
  const moeLayers = m.moe?.numLayers ?? 0;
  const denseMlp = m.numMlpMatrices * m.hiddenSize * m.intermediateSize;
  const sharedExpert = m.numMlpMatrices * m.hiddenSize * (m.moe?.sharedExpertIntermediateSize ?? 0);
  const router = m.hiddenSize * (m.moe?.numExperts ?? 0);
  const linear = m.linearAttention;
  const embedding = m.vocabSize * m.hiddenSize;
  return (
    numAttentionLayers(m) * numAttentionParameters(m) +
    (linear ? linear.numLayers * linear.numParametersPerLayer : 0) +
    (m.numLayers - moeLayers) * denseMlp +
    moeLayers * (sharedExpert + router) +
    embedding * (m.tieWordEmbeddings ? 1 : 2) +
    m.numOtherParameters
  );
}
