import type { ResolvedPool } from '../../core/perf/resolve.js';
import type { LiveCluster } from '../../pipeline/live-cluster.js';

/** A model that is served: its cluster, and what its KV memory amounts to. */
export interface Served {
  readonly name: string;
  readonly cluster: LiveCluster;
  readonly pools: readonly ResolvedPool[];
}
