/**
 * What GPUs draw, from how much they are used.
 *
 *   power = idle                                                            between steps
 *   power = idle + (board − idle) · (1 − e^−(a + m·MBU + c·MFU))            while a step runs
 *
 * A GPU that steps at all draws far more than an idle one, and approaches its board power, which caps
 * it, as memory or matrix units fill up. a, m and c were fitted to mean power during 154 measured runs
 * on H100 and B200 with vLLM 0.11 (ML.ENERGY benchmark v3): median error 8 %, 90 % of runs within
 * 19 %; on other hardware the form is an assumption. So is idle power everywhere.
 * Hosts, switches and cooling are not counted.
 */

import type { Seconds } from '../units.js';
import type { Utilisation } from './utilisation.js';

export type Watts = number;
export type Joules = number;

/** Idle over board power: an assumption for parts with HBM, 10–15 % on data-centre boards. */
export const IDLE_POWER_FRACTION = 0.12;

const STEPPING = 0.6;
const PER_MBU = 1;
const PER_MFU = 8;

export const POWER_ASSUMPTION =
  `idle power assumed to be ${IDLE_POWER_FRACTION * 100} % of board power; active power fitted on H100 ` +
  'and B200 (docs/metrics.md); GPUs only';

export const idlePower = (boardPowerW: Watts): Watts => IDLE_POWER_FRACTION * boardPowerW;

/** Of one GPU while a step runs; `used` is measured over that time. */
export function activePower(boardPowerW: Watts, used: Utilisation): Watts {
  const idle = idlePower(boardPowerW);
  const activity = STEPPING + PER_MBU * used.mbu + PER_MFU * used.mfu;
  return idle + (boardPowerW - idle) * (1 - Math.exp(-activity));
}

/** Of one GPU that is busy for `busySeconds` of `seconds`, used as `used` says while busy. */
export function gpuEnergy(
  boardPowerW: Watts,
  { seconds, busySeconds, used }: { seconds: Seconds; busySeconds: Seconds; used: Utilisation },
): Joules {
  const idleSeconds = Math.max(0, seconds - busySeconds);
  return idlePower(boardPowerW) * idleSeconds + activePower(boardPowerW, used) * busySeconds;
}
