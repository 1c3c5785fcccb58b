/**
 * Where everything is put together: from what a user asked for to a simulation that can run.
 *
 * Everything that can be refused is refused here, before a request is simulated. What reads a file that
 * a scenario may name is loaded when one does.
 */

import type { Composition, Naming } from '../config/composition.js';
import { loadPerfData } from '../config/engines.js';
import {
  DEFAULT_ROUTER,
  type FieldName,
  loadFromRequest,
  type PoolRequest,
  poolFromRequest,
  type ScenarioRequest,
} from '../config/scenario-request.js';
import { routerNamed } from '../core/cluster/routers/index.js';
import type { InstanceConfig } from '../core/engine.js';
import { ConfigError } from '../core/errors.js';
import type { Slo } from '../core/metrics/report.js';
import { inputTimesOf, type ResolvedPool, resolvePool } from '../core/perf/resolve.js';
import { drawnAcceptance } from '../core/sched/acceptance.js';
import { policyNamed } from '../core/sched/policies/index.js';
import { Simulation } from '../core/simulate.js';
import type { Tracer } from '../core/trace/tracer.js';
import type { ConversationOptions } from '../core/workload/conversations.js';
import { buildLoad, checkLoad, type LoadOptions } from '../core/workload/load.js';
import { OfferedLoad } from '../core/workload/offered-load.js';
import type { TraceSource } from '../core/workload/trace-replay.js';
import { readAcceptance } from '../files/acceptance-file.js';
import type { Run } from '../report/run.js';

/**
 * @param conversations makes a conversation of each request
 * @throws {ConfigError}
 */
export async function compose(
  request: ScenarioRequest,
  naming: Naming,
  conversations?: ConversationOptions,
): Promise<Composition> {
  const warnings = new Set<string>();
  const open = await traceOpener(request.load, naming.trace, warnings);
  const load = { ...loadFromRequest(request.load, open), conversations };
  checkLoad(load, naming.load);
  const pools = await composePools(
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
export async function composePools(
  request: ScenarioRequest,
  naming: (pool: number) => FieldName,
  canShare: () => boolean = () => true,
): Promise<Pick<Composition, 'seed' | 'router' | 'pools'>> {
  const router = routerNamed(request.router ?? DEFAULT_ROUTER).name;
  const { seed } = request;
  const shared = canShare();
  const pools: ResolvedPool[] = [];
  for (const [i, pool] of request.pools.entries()) {
    const resolved = composePool(pool, naming(i), { seed, shared });
    pools.push(await withMeasured(resolved, pool, naming(i)));
  }
  for (const pool of pools) policyNamed(pool.scheduler.policy);
  return { seed: seed ?? 0, router, pools };
}

/**
 * A pool as the formulas have it, whatever was measured.
 *
 * @throws {ConfigError}
 */
export function composePool(
  pool: PoolRequest,
  name: FieldName,
  { seed, shared = true }: { readonly seed?: number | undefined; readonly shared?: boolean } = {},
): ResolvedPool {
  const spec = poolFromRequest(pool, name, readAcceptance);
  const data = loadPerfData(spec.engine);
  const { kvOffloadingSize, kvTiers } = spec.options;
  const tiered = kvOffloadingSize !== undefined || kvTiers !== undefined;
  const { enablePrefixCaching = tiered || (shared && data.engine.defaults.enablePrefixCaching) } =
    spec.options;
  return resolvePool({ ...spec, options: { ...spec.options, enablePrefixCaching } }, data, seed);
}

/** The pool with what its files say: a calibration, measured times. */
async function withMeasured(
  pool: ResolvedPool,
  { calibration, perfTable }: PoolRequest,
  name: FieldName,
): Promise<ResolvedPool> {
  let measured = pool;
  if (calibration !== undefined) {
    const { withCalibration } = await import('./calibrate/calibration-file.js');
    measured = withCalibration(measured, calibration);
  }
  if (perfTable !== undefined) {
    const { withPerfTable } = await import('./setup-perf/use-perf-table.js');
    measured = withPerfTable(measured, perfTable, name('perf_table'));
  }
  return measured;
}

/** Opens the trace of a load again and again, if it has one. */
async function traceOpener(
  { trace }: ScenarioRequest['load'],
  flag: string,
  warnings: Set<string>,
): Promise<(() => TraceSource) | undefined> {
  if (!trace) return undefined;
  const { openTrace } = await import('../files/trace-reader.js');
  return () => openTrace({ ...trace, onWarning: (text) => void warnings.add(text) }, flag);
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
    ...inputTimesOf(pools[0]!),
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
