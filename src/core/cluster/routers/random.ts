import type { RouterKind } from '../router.js';

/** Any instance, each as likely as the others. */
export const random: RouterKind = {
  name: 'random',
  create: (draws) => ({
    choose: (_spec, instances) => instances[draws.integer(0, instances.length - 1)]!.index,
  }),
};
