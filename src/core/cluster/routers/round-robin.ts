import type { RouterKind } from '../router.js';

/** One after the other, whatever their load. */
export const roundRobin: RouterKind = {
  name: 'round_robin',
  create() {
    let next = 0;
    return { choose: (_spec, instances) => instances[next++ % instances.length]!.index };
  },
};
