/**
 * The contract of the engine, the same for trace simulation, live serving, gRPC and the parity check.
 *
 * An engine is a pure function: `(configuration, seed, commands in time order) → events in time order`.
 * It reads no clock and keeps no timer; whoever holds it decides how time passes:
 *
 *   virtual   advanceTo(nextEventAt()), as fast as the machine can
 *   wall      advanceTo(now), whenever now reaches nextEventAt()
 *   manual    a test steps it
 *
 * What the engine needs from outside comes in through ports (`StepCost`, and the tracer that is told
 * what happens), given at construction. Inside, a step is a run of length 1: there is no other path.
 */

import type { KvTierReport, LoraReport } from './metrics/report.js';
import type { RunMetrics } from './metrics/run-metrics.js';
import type { SpeculationCounts } from './metrics/speculation-stats.js';
import type { RandomStream } from './rng.js';
import type { Tracer } from './trace/tracer.js';
import type { DurationNs, Ticks, TimeNs } from './units.js';

/** Names one submitted request until it has ended. Opaque; unique for the life of the engine. */
export type RequestHandle = number;

export type FinishReason = 'stop' | 'length' | 'abort' | 'rejected';

/**
 * A stretch of a prompt with an identity (an integer): tokens `first … first + length − 1` of the token sequence
 * named `content`. Equal contents are equal tokens; this is what prefixes share.
 */
export interface PromptSegment {
  readonly content: number;
  readonly length: number;
  readonly first?: number;
}

/** A request as the engine sees it: lengths and identity, never text. */
export interface RequestSpec {
  /** The caller's name for it, repeated in rows and events; absent: its number in order of submission. */
  readonly id?: string;
  readonly promptTokens: number;
  /** Output tokens it generates (at least 1), unless the context window cuts it shorter. */
  readonly maxTokens: number;
  /** Why it ends when `maxTokens` are generated (default `length`). The window always says `length`. */
  readonly finishReason?: 'stop' | 'length';
  /** Lower is more urgent (default 0); read by the `priority` policy. */
  readonly priority?: number;
  /** Identity of the prompt's tokens, for prefix caching. Absent: shared with nobody. */
  readonly prompt?: readonly PromptSegment[];
  /** Names the sequence of output tokens, so that a later prompt can contain this answer. */
  readonly outputContent?: number;
  /** Separates prefix caches: requests share blocks only when their salts are equal. */
  readonly cacheSalt?: string;
  /** Name of the LoRA adapter it runs with; absent: the base model. */
  readonly lora?: string;
}

export interface Engine {
  /**
   * A request arrives at `at` (not before the time already simulated; the future is allowed).
   * Among commands of one instant, submissions come before cancellations, each in the order given.
   *
   * @param waitedNs how much of its input latency has passed already, because a live server really read
   *   and tokenised it: it arrived that much earlier. At most the input latency counts.
   */
  submit(at: TimeNs, spec: RequestSpec, waitedNs?: DurationNs): RequestHandle;
  /**
   * The caller of `handle` goes away at `at`. Its KV blocks are free at once; in the step under way
   * it gets no token. Cancelling what has already ended does nothing.
   */
  cancel(at: TimeNs, handle: RequestHandle): void;
  /**
   * When something will happen next: the end of the run under way (of the step, when the tracer asked
   * for steps or tokens), or the next command. `undefined`: idle, or stuck until the next command.
   */
  nextEventAt(): TimeNs | undefined;
  /** Lets everything happen that happens at or before `t`. The tracer is told. */
  advanceTo(t: TimeNs): void;
  /** How things stand at the time simulated so far; one entry per instance. */
  snapshot(): readonly InstanceSnapshot[];
}

/** The state of one instance, at one instant. */
export interface InstanceSnapshot {
  readonly pool: number;
  readonly instance: number;
  readonly at: TimeNs;
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numBlocks: number;
  readonly freeBlocks: number;
  /** Blocks whose content can be found by a prefix look-up, free or in use. */
  readonly cachedBlocks: number;
  /** Whether a step is under way. */
  readonly busy: boolean;
  /** With speculation: what became of the drafts so far. */
  readonly speculation?: SpeculationCounts;
  /** With LoRA adapters: how they came and went so far. */
  readonly lora?: LoraReport;
  /** With KV tiers: what each of them found and moved so far. */
  readonly kvTiers?: readonly KvTierReport[];
}

/**
 * What one forward pass contains, as counts and sums; never a list of requests. The engine fills one
 * object again and again; whoever reads it copies what they keep.
 */
export interface StepShape {
  /** Requests that compute one newest token. */
  numDecodes: number;
  /** Σ over decodes of the context each attends to, its newest token included. */
  decodeContext: number;
  /** Σ over decodes of min(context, window); equals `decodeContext` where the model has no window. */
  decodeWindowContext: number;
  /** Prompt tokens computed in this step, and by how many requests. */
  prefillTokens: number;
  numPrefills: number;
  /** Σ over prefills of chunk · (history + (chunk + 1) / 2): pairs of (token, token it attends to). */
  prefillPairs: number;
  /** The same where each token attends to at most `window` tokens. */
  prefillWindowPairs: number;
  /** Σ over prefills of the tokens computed earlier, which attention reads back. */
  prefillHistory: number;
  /** Requests that get a token at the end of the step. */
  numSampled: number;
  /** Draft tokens that decodes verify beside their newest token; absent: none. */
  draftTokens?: number;
  /**
   * Tokens of the other ranks in the same step, where instances step together; absent: each other rank
   * has as many as this one.
   */
  otherTokens?: number | undefined;
  /** Tokens of requests with a LoRA adapter, and adapters that running requests need; absent: none. */
  loraTokens?: number;
  numAdapters?: number;
}

/**
 * What a step costs: a port, implemented by `core/perf` (physics), by given times, or by one unit a
 * step. For pure decodes the cost is affine in the context, so n equal steps have a closed form:
 *
 *   ticks(shape) = base(shape) + contextSlope(shape)·decodeContext + windowSlope(shape)·decodeWindowContext
 *
 * All three are integers on the clock's grid (`onClock`) and depend on nothing in the shape that grows
 * while a batch stays the same, for as many steps as `stepsAlike` says.
 */
export interface StepCost {
  base(shape: StepShape): Ticks;
  contextSlope(shape: StepShape): Ticks;
  windowSlope(shape: StepShape): Ticks;
  /**
   * For pure decodes, how many steps from this one on (each with a token more per decode) cost what
   * this base and these slopes say; at least 1. Absent: any number. A cost that is piecewise affine in
   * the context ends runs at its knots this way.
   */
  stepsAlike?(shape: StepShape): number;
  /** Attention window in tokens of the layers that have one; `Infinity` where none does. */
  readonly window: number;
  /**
   * Cost of a call that schedules nothing while requests wait. 0, as in a real server: the engine
   * sleeps until the next command. Recorded traces count such calls as steps.
   */
  readonly emptyStep: Ticks;
}

/** The options of one instance's scheduler: vLLM's names and meanings. */
export interface SchedulerConfig {
  readonly blockSize: number;
  /** KV blocks of the pool, block 0 (never used) included. */
  readonly numGpuBlocks: number;
  readonly maxNumBatchedTokens: number;
  /** Tokens a call may schedule, when fewer than `maxNumBatchedTokens`. */
  readonly maxNumScheduledTokens: number;
  readonly maxNumSeqs: number;
  /** Requests that may run at once, when fewer than `maxNumSeqs`. */
  readonly maxNumActiveSeqs: number;
  readonly maxModelLen: number;
  readonly enableChunkedPrefill: boolean;
  readonly enablePrefixCaching: boolean;
  /** 0: off. */
  readonly longPrefillTokenThreshold: number;
  readonly longPrefillTokenThresholdAdaptive: boolean;
  /** Admit only when the whole prompt would fit (`scheduler_reserve_full_isl`). */
  readonly schedulerReserveFullIsl: boolean;
  /** Fraction of the pool an admission must leave free while anything runs. */
  readonly watermark: number;
  /** Steps from one that carries prefill to the next that may; 1: every step. */
  readonly prefillScheduleInterval: number;
  /** Decode steps after which new requests are looked for (SGLang); 1: every step. */
  readonly schedulerRecvInterval: number;
  /** Steps that prompts wait for company while something decodes, unless there are enough tokens (TensorRT-LLM); 0: none. */
  readonly batchWaitTimeoutIters: number;
  /** Share of `maxNumBatchedTokens` that is enough. */
  readonly batchWaitMaxTokensRatio: number;
  readonly policy: string;
  readonly asyncScheduling: boolean;
  /**
   * Pipeline stages: so many batches may be in flight, a request in one of them at a time (its prompt
   * chunks in several). Each stage takes an equal part of what a step costs. Absent: 1.
   */
  readonly pipelineParallelSize?: number;
  /** Draft tokens a step verifies; 0: no speculation. */
  readonly numSpeculativeTokens: number;
  /** Who drafts (`speculative_config.method`); absent: something that needs no blocks, as `ngram`. */
  readonly speculativeMethod?: 'ngram' | 'draft_model' | 'eagle';
  /** LoRA adapters; absent: a name of one only separates prefix caches. */
  readonly lora?: LoraConfig;
  /** Where KV goes that the prefix cache forgets, from fast to slow; absent: nowhere. */
  readonly kvTiers?: readonly KvTierConfig[];
}

/** A place for KV below the GPU, and its link. */
export interface KvTierConfig {
  readonly name: string;
  /** May be infinite. */
  readonly capacityBlocks: number;
  /** Of one block on all GPUs together. */
  readonly bytesPerBlock: number;
  readonly readNsPerBlock: number;
  readonly writeNsPerBlock: number;
  /** From asking to the first byte. */
  readonly latencyNs: number;
}

/** Where adapters have room, and for how long a step waits for one that is not on the GPU. */
export interface LoraConfig {
  /** Slots on the GPU: adapters in one step (`max_loras`). */
  readonly maxLoras: number;
  /** Adapters in host memory, those on the GPU included (`max_cpu_loras`). */
  readonly maxCpuLoras: number;
  /** From host memory to the GPU, and before that from disk when it is not in host memory either. */
  readonly loadTicks: Ticks;
  readonly fetchTicks: Ticks;
}

/** What a request looks like to whoever decides about its drafts. */
export interface DraftedRequest {
  readonly spec: RequestSpec;
  /** Its number in order of submission, from 0. */
  readonly index: number;
  readonly numOutputTokens: number;
}

/** Which drafts hold: a port. It is asked once per request and step, in the order of the batch. */
export interface Acceptance {
  /** How many of `numDrafts` scheduled drafts hold, before this step's tokens are counted. */
  accepted(request: DraftedRequest, numDrafts: number): number;
  /** How many drafts are proposed next, at most `most`; absent: `most`. Synchronous scheduling only. */
  proposed?(request: DraftedRequest, most: number): number;
}

/** One instance of the cluster: a scheduler, a KV pool and what its steps cost. */
export interface InstanceConfig {
  readonly pool: number;
  readonly scheduler: SchedulerConfig;
  readonly cost: StepCost;
  /** Needed with speculation (`numSpeculativeTokens`): made of the instance's own stream of chance. */
  readonly acceptance?: (random: RandomStream) => Acceptance;
  /**
   * Instances of the same group step together: data-parallel ranks whose experts are spread over all of
   * them. A step lasts as long as the slowest takes, and who has nothing to do takes part. Absent: alone.
   */
  readonly lockStepGroup?: number;
}

/** What happens to a request before a scheduler sees it. TTFT counts it. */
export interface InputTimes {
  /** HTTP and hand-over. */
  readonly inputLatencyNs: DurationNs;
  /** Before that, tokenising: one thread for all, so a burst of prompts waits for it in turn. Absent: no time. */
  readonly tokenizingNsPerToken?: number;
}

export interface EngineOptions extends InputTimes {
  readonly instances: readonly InstanceConfig[];
  /** Chooses an instance for each request; the names are those of `cluster/routers`. */
  readonly router: string;
  readonly seed: number;
  readonly tracer: Tracer;
  /** Where latencies are counted; absent: a sketch of its own. */
  readonly metrics?: RunMetrics;
}
