/** What a run used of its GPUs, summed over instances: time, energy, money, and how well it used them. */

import { type Bill, bill } from '../core/metrics/cost.js';
import { gpuEnergy, type Joules } from '../core/metrics/energy.js';
import { gpuWork, type Utilisation, utilisation } from '../core/metrics/utilisation.js';
import type { Seconds } from '../core/units.js';
import { numGpus, type Run } from './run.js';

export interface Resources extends Utilisation {
  /** GPUs × simulated seconds. */
  readonly gpuSeconds: Seconds;
  readonly energyJ: Joules;
  /** Over the output tokens of completed requests; 0 when there were none. */
  readonly joulesPerOutputToken: number;
  /** Of one GPU, over the whole run. */
  readonly meanPowerW: number;
  readonly outputTokensPerGpuSecond: number;
  /** Absent without a price. */
  readonly bill?: Bill;
}

export function resourcesOf(run: Run): Resources {
  const { report, pools, pricePerGpuHour } = run;
  const seconds = report.durationNs / 1e9;
  const gpuSeconds = numGpus(run) * seconds;
  let energyJ = 0;
  // Sums of GPU-seconds at the ceiling: pools may have different ceilings.
  let atPeak = 0;
  let atBandwidth = 0;
  for (const instance of report.instances) {
    const pool = pools[instance.pool]!;
    const gpus = pool.numGpus / pool.numRanks;
    const busySeconds = Math.min(instance.busyNs / 1e9, seconds);
    const work = gpuWork(pool, instance);
    const used = utilisation(pool, work, busySeconds);
    energyJ += gpus * gpuEnergy(pool.deployment.gpu.boardPowerW, { seconds, busySeconds, used });
    atPeak += gpus * used.mfu * busySeconds;
    atBandwidth += gpus * used.mbu * busySeconds;
  }
  const per = (value: number, count: number) => (count > 0 ? value / count : 0);
  const { totalOutputTokens } = report;
  return {
    gpuSeconds,
    energyJ,
    joulesPerOutputToken: per(energyJ, totalOutputTokens),
    meanPowerW: per(energyJ, gpuSeconds),
    outputTokensPerGpuSecond: per(totalOutputTokens, gpuSeconds),
    mfu: per(atPeak, gpuSeconds),
    mbu: per(atBandwidth, gpuSeconds),
    ...(pricePerGpuHour !== undefined && {
      bill: bill(gpuSeconds, pricePerGpuHour, totalOutputTokens),
    }),
  };
}
