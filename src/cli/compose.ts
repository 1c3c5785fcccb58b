/**
 * Where everything is put together: from what a user asked for to a simulation that can run.
 *
 * Everything that can be refused is refused here, before a request is simulated.
 */

import { loadPerfData } from '../config/engines.js';
import {
  DEFAULT_ROUTER,
  type FieldName,
  loadFromRequest,
  poolFromRequest,
  type ScenarioRequest,
  type TraceRequest,
} from '../config/scenario-request.js';
import { routerNamed } from '../core/cluster/routers/index.js';
import type { InstanceConfig } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import type { Slo } from '../core/metrics/report.js';
import { type ResolvedPool, resolvePool } from '../core/perf/resolve.js';
import { drawnAcceptance } from '../core/sched/acceptance.js';
import { policyNamed } from '../core/sched/policies/index.js';
import { Simulation } from '../core/simulate.js';
import type { Tracer } from '../core/trace/tracer.js';
import type { ConversationOptions } from '../core/workload/conversations.js';
import { buildLoad, checkLoad, type LoadOptions } from '../core/workload/load.js';
import { OfferedLoad } from '../core/workload/offered-load.js';
import { readAcceptance } from '../files/acceptance-file.js';
import { openTrace } from '../files/trace-reader.js';
import type { Run } from '../report/run.js';
import { withCalibration } from './calibrate/calibration-file.js';
import { withPerfTable } from './setup-perf/use-perf-table.js';

/** What will run, resolved and checked. */
export interface Composition {
  readonly seed: number;
  readonly router: string;
  readonly pools: readonly ResolvedPool[];
  readonly load: LoadOptions;
  readonly trace: string | undefined;
  /** What the user should know of the files that were read. */
  readonly warnings: ReadonlySet<string>;
}

/** How errors spell fields: flags, or places in a scenario file. */
export interface Naming {
  readonly load: FieldName;
  pool(index: number): FieldName;
  /** How the trace file was named. */
  readonly trace: string;
}

/**
 * @param conversations makes a conversation of each request
 * @throws {ConfigError}
 */
export function compose(
  request: ScenarioRequest,
  naming: Naming,
  conversations?: ConversationOptions,
): Composition {
  const warnings = new Set<string>();
  const onWarning = (text: string) => warnings.add(text);
  const open = (trace: TraceRequest) => openTrace({ ...trace, onWarning }, naming.trace);
  const load = { ...loadFromRequest(request.load, open), conversations };
  checkLoad(load, naming.load);
  const pools = composePools(
    request,
    (i) => naming.pool(i),
    () => hasNamedPrompts(load),
  );
  if (load.adapters && pools.pools.some(({ deployment }) => !deployment.lora)) {
    const count = load.adapters.count;
    const hint =
      'Add --enable-lora (enable_lora: true), and as many --max-loras as a step may have.';
    throw new ConfigError(naming.load('num_loras'), 'engines that serve adapters', count, hint);
  }
  return { ...pools, load, trace: request.load.trace?.path, warnings };
}

/**
 * The pools of a scenario without its load: all there is of a live server, whose prompts have text, so
 * that who shares what is known.
 *
 * @param canShare whether prompts have identity. Without it no two can share, and looking them up is
 *   work for nothing.
 * @throws {ConfigError}
 */
export function composePools(
  request: ScenarioRequest,
  naming: (pool: number) => FieldName,
  canShare: () => boolean = () => true,
): Pick<Composition, 'seed' | 'router' | 'pools'> {
  const router = routerNamed(request.router ?? DEFAULT_ROUTER).name;
  const shared = canShare();
  const pools = request.pools.map((pool, i) => {
    const spec = poolFromRequest(pool, naming(i), readAcceptance);
    const data = loadPerfData(spec.engine);
    const { kvOffloadingSize, kvTiers } = spec.options;
    const tiered = kvOffloadingSize !== undefined || kvTiers !== undefined;
    const { enablePrefixCaching = tiered || (shared && data.engine.defaults.enablePrefixCaching) } =
      spec.options;
    const options = { ...spec.options, enablePrefixCaching };
    const resolved = resolvePool({ ...spec, options }, data, request.seed);
    const calibrated = withCalibration(resolved, pool.calibration);
    return withPerfTable(calibrated, pool.perfTable, naming(i)('perf_table'));
  });
  for (const pool of pools) policyNamed(pool.scheduler.policy);
  return { seed: request.seed ?? 0, router, pools };
}

/** Whether prompts of this load say what they contain. A trace is opened to see, and to refuse it early. */
function hasNamedPrompts({ source, conversations }: LoadOptions): boolean {
  if (source.kind === 'random') return source.prefixLen > 0 || conversations !== undefined;
  const trace = source.open();
  const first = trace.next();
  trace.close?.();
  return first?.spec.prompt !== undefined;
}

export interface RunOptions {
  readonly tracers?: readonly Tracer[];
  readonly slo?: Slo | undefined;
  readonly percentiles: readonly number[];
  readonly pricePerGpuHour?: number | undefined;
  /** Exact quantiles, at the price of keeping a sample per request. */
  readonly exact?: boolean;
}

/** A simulation under way, and the run it amounts to at any moment. */
export interface Started {
  readonly simulation: Simulation;
  readonly numRequests: number | undefined;
  run(stopped: boolean): Run;
}

export function start(composition: Omit<Composition, 'warnings'>, options: RunOptions): Started {
  const { seed, router, pools, load, trace } = composition;
  const { tracers = [], slo, percentiles, pricePerGpuHour, exact = false } = options;
  const offered = new OfferedLoad(buildLoad(load, seed));
  const simulation = new Simulation({
    instances: pools.flatMap(instancesOf),
    router,
    seed,
    inputLatencyNs: pools[0]!.inputLatencyNs,
    tokenizingNsPerToken: pools[0]!.tokenizingNsPerToken,
    workload: offered,
    tracers,
    exact,
    ...(slo && { slo }),
  });
  return {
    simulation,
    numRequests: offered.numRequests,
    run: (stopped) => ({
      seed,
      router,
      pools,
      load,
      trace,
      offered: { numRequests: offered.numGiven, spanNs: offered.spanNs },
      slo,
      percentiles,
      pricePerGpuHour,
      report: simulation.report(),
      stopped,
    }),
  };
}

/** Groups of different pools have different numbers. */
const MOST_INSTANCES = 2 ** 20;

/** Every data-parallel rank of every instance schedules for itself, some in lock-step. */
export function instancesOf(pool: ResolvedPool, index: number): InstanceConfig[] {
  const { scheduler, cost, lockStep, numRanks } = pool;
  const { numInstances, speculation } = pool.spec;
  const acceptance = speculation && drawnAcceptance(speculation);
  return Array.from({ length: numInstances * numRanks }, (_, i) => ({
    pool: index,
    scheduler,
    cost,
    ...(acceptance && { acceptance }),
    ...(lockStep && { lockStepGroup: index * MOST_INSTANCES + Math.floor(i / numRanks) }),
  }));
}
