/** What the RPC services need of the rest: given by the composition, or by a few lines in a test. */

import type { Composition, Naming } from '../config/composition.js';
import type { ScenarioRequest } from '../config/scenario-request.js';
import type { InstanceConfig, RequestSpec } from '../core/engine.js';
import type { ResolvedPool } from '../core/perf/resolve.js';
import type { LiveCluster } from '../pipeline/live-cluster.js';
import type { ChatTemplate, Tokenizer } from '../text/index.js';

/** From what a caller asked for to what can run. */
export interface Composer {
  /** @throws {ConfigError} */
  compose(request: ScenarioRequest, naming: Naming): Promise<Composition>;
  instancesOf(pool: ResolvedPool, index: number): readonly InstanceConfig[];
}

/** A model that is served. Several may share a cluster: other names of it. */
export interface ServedModel {
  /** As clients name it. */
  readonly id: string;
  readonly cluster: LiveCluster;
  /** The cluster's pools: what its KV memory amounts to. */
  readonly pools: readonly ResolvedPool[];
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate;
  readonly maxModelLen: number;
  /** The LoRA adapter that this name stands for. */
  readonly lora?: { readonly name: string };
  /** Told the text behind a request before it is submitted, where somebody keeps texts. */
  readonly onPrompt?: (spec: RequestSpec, text: string) => void;
}

/** The live server. */
export interface LiveTarget {
  readonly models: readonly ServedModel[];
  readonly seed: number;
  /** Why no request is taken just now (draining, full), if so. */
  refusal?(): { readonly message: string; readonly retryAfterS?: number } | undefined;
}

export interface Limits {
  /** Bytes of a request. */
  readonly maxMessageBytes: number;
  /** Simulations at once, over all callers. */
  readonly maxConcurrentRuns: number;
  /** Requests of one simulation. */
  readonly maxRequestsPerRun: number;
  /** Events told by one simulation; each token counts. */
  readonly maxEventsPerRun: number;
  /** Whether a scenario may name files of this machine: traces, configurations, data sheets. */
  readonly allowFiles: boolean;
}

export const DEFAULT_LIMITS: Limits = {
  maxMessageBytes: 16 * 2 ** 20,
  maxConcurrentRuns: 16,
  maxRequestsPerRun: 1e7,
  maxEventsPerRun: 1e10,
  allowFiles: true,
};

/** One call that is over, for a log. */
export interface CallLog {
  /** `Service/Method`. */
  readonly method: string;
  /** `ok`, or the code's name. */
  readonly code: string;
  readonly durationMs: number;
  readonly message?: string;
}

export interface RpcOptions {
  readonly composer: Composer;
  /** Absent: only simulations, nothing live. */
  readonly live?: LiveTarget | undefined;
  readonly limits?: Partial<Limits> | undefined;
  /** Callers must carry it as `authorization: Bearer KEY` or `x-api-key: KEY`. */
  readonly apiKey?: string | undefined;
  readonly onCall?: ((call: CallLog) => void) | undefined;
}
