/** The running cluster, as the port through which the OpenAI surface sees it. */

import type { LiveCluster } from '../pipeline/live-cluster.js';
import type { LiveModel } from './live-model.js';

export interface ClusterModelOptions extends Omit<LiveModel, 'submit'> {
  readonly cluster: LiveCluster;
}

/** A request is subscribed to; a client that goes away unsubscribes, and that cancels. */
export function clusterModel({ cluster, ...model }: ClusterModelOptions): LiveModel {
  return {
    ...model,
    submit(spec, listener, waitedMs) {
      const subscription = cluster.request$(spec, waitedMs).subscribe({
        next: (event) => {
          if (event.kind === 'tokens') listener.onTokens(event.numTokens);
          else listener.onEnd(event.outcome);
        },
        error: () => listener.onFail(),
      });
      return { cancel: () => subscription.unsubscribe() };
    },
  };
}
