/** `grpc.health.v1.Health`: whether the server takes calls; NOT_SERVING from the moment it drains. */

import { Code, ConnectError } from '@connectrpc/connect';
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from '../../../gen/health/v1/health_pb.js';
import { type Handlers, untilAborted } from '../call.js';

export class ServingState {
  #serving = true;
  #changed: (() => void)[] = [];

  /** @param services names that can be asked for, besides the empty one */
  constructor(readonly services: readonly string[]) {}

  get serving(): boolean {
    return this.#serving;
  }

  /** From now on NOT_SERVING. */
  drain(): void {
    this.#serving = false;
    const changed = this.#changed;
    this.#changed = [];
    for (const wake of changed) wake();
  }

  statusOf(service: string): Status {
    if (service !== '' && !this.services.includes(service)) return Status.SERVICE_UNKNOWN;
    return this.#serving ? Status.SERVING : Status.NOT_SERVING;
  }

  change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }
}

export function healthHandlers(state: ServingState): Handlers<typeof Health> {
  return {
    async check({ service }) {
      const status = state.statusOf(service);
      if (status === Status.SERVICE_UNKNOWN) {
        throw new ConnectError(`There is no service ${service}.`, Code.NotFound);
      }
      return { status };
    },
    async *watch({ service }, { signal }) {
      const aborted = untilAborted(signal);
      try {
        for (;;) {
          const changed = state.change();
          yield { status: state.statusOf(service) };
          await Promise.race([changed, aborted]);
        }
      } finally {
        aborted.cancel();
      }
    },
    async list() {
      const names = ['', ...state.services];
      const entries = names.map((name) => [name, { status: state.statusOf(name) }]);
      return { statuses: Object.fromEntries(entries) };
    },
  };
}
