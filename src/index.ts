/**
 * The library: the engine, simulation of traces, and the engine in time.
 *
 * What is exported here is kept stable; everything else may move.
 */

export { Cluster, createEngine } from './core/cluster/cluster.js';
export { GivenTimes, type GivenTimesOptions } from './core/cluster/given-times.js';
export * from './core/engine.js';
export { ConfigError, InvariantError } from './core/errors.js';
export * from './core/metrics/report.js';
export { Simulation, type SimulationOptions, simulate } from './core/simulate.js';
export * from './core/trace/tracer.js';
export type { Arrival, Workload } from './core/workload/workload.js';
export * from './pipeline/clock.js';
export * from './pipeline/events.js';
export * from './pipeline/live-cluster.js';
export { simulation$, simulationChunks } from './pipeline/run-simulation.js';
