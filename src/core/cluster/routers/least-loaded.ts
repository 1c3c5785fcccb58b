import type { RouterKind } from '../router.js';

/** The instance with the fewest requests, running and waiting; the first of equals. */
export const leastLoaded: RouterKind = {
  name: 'least_loaded',
  create: () => ({
    choose(_spec, instances) {
      let best = instances[0]!;
      for (const instance of instances) {
        const load = instance.numRunning + instance.numWaiting;
        if (load < best.numRunning + best.numWaiting) best = instance;
      }
      return best.index;
    },
  }),
};
