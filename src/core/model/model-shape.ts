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
  /** Bits per weight and where they apply, for checkpoints that are already quantised. */
  readonly quantization?: string;
  /** Biases, norms and learned positions: everything that is not a matrix. */
  readonly numOtherParameters: number;
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
  readonly linearAttention?: { readonly numLayers: number; readonly stateBytesPerSeq: number };
}
