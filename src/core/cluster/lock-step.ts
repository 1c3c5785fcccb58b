/**
 * Instances that step together: the data-parallel ranks of a mixture of experts. Each rank schedules
 * for itself, but the experts belong to all of them, so no rank can run ahead:
 *
 *   - all begin a step at the same instant, and it lasts as long as the slowest takes
 *   - what the experts cost follows from the tokens of all ranks
 *   - a rank with nothing to do takes part in the step with an empty batch, while any has work
 *
 * This is the lock-step of vLLM's data-parallel engine cores (dummy batches until the wave is over).
 * A step is a run of length 1 here: the longest of several affine costs is not affine.
 */

import type { Ticks, TimeNs } from '../units.js';
import type { Instance } from './instance.js';

export class LockStep {
  constructor(private readonly ranks: readonly Instance[]) {}

  nextEventAt(): TimeNs {
    let at = Infinity;
    for (const rank of this.ranks) at = Math.min(at, rank.nextEventAt());
    return at;
  }

  advanceTo(t: TimeNs): void {
    for (let at = this.nextEventAt(); at <= t && at !== Infinity; at = this.nextEventAt()) {
      // What happens inside a step (a caller hangs up) leaves it under way.
      let reached = 0;
      for (const rank of this.ranks) if (rank.reachBoundary(at)) reached++;
      if (reached > 0) this.#boundary(at);
    }
  }

  /** All ranks stand between two steps. */
  #boundary(at: TimeNs): void {
    const { ranks } = this;
    for (const rank of ranks) {
      rank.standAt(at);
      rank.takeCommands();
    }
    if (!ranks.some((rank) => rank.hasWork)) return;
    let tokens = 0;
    for (const rank of ranks) tokens += rank.plan();
    let longest: Ticks = 0;
    for (const rank of ranks) {
      const { planned } = rank;
      planned.shape.otherTokens = tokens - planned.numTokens;
      rank.price();
      longest = Math.max(longest, planned.ticks);
    }
    if (!ranks.some((rank) => rank.isUseful)) {
      for (const rank of ranks) rank.rest();
      return;
    }
    // All batches take as long as the slowest, and all ranks wait for the same one.
    let ticks: Ticks = 0;
    for (const rank of ranks) {
      rank.planned.ticks = longest;
      ticks = Math.max(ticks, rank.stepTicks);
    }
    for (const rank of ranks) {
      rank.begin(ticks, 0);
      rank.tellCall();
    }
  }
}
