/** What a scenario comes to once every name is looked up and everything is checked: what can run. */

import type { ResolvedPool } from '../core/perf/resolve.js';
import type { LoadOptions } from '../core/workload/load.js';
import type { FieldName } from './scenario-request.js';

export interface Composition {
  readonly seed: number;
  readonly router: string;
  readonly pools: readonly ResolvedPool[];
  readonly load: LoadOptions;
  readonly trace: string | undefined;
  /** What the user should know of the files that were read. */
  readonly warnings: ReadonlySet<string>;
}

/** How errors spell fields: flags, or places in a scenario file or a message. */
export interface Naming {
  readonly load: FieldName;
  pool(index: number): FieldName;
  /** How the trace file was named. */
  readonly trace: string;
}
