/**
 * The flags of gRPC: how much the server does for its callers, and how it keeps connections. Where gRPC
 * has a channel argument for it, the flag has its name: `grpc.keepalive_time_ms`, `--grpc-keepalive-time-ms`.
 */

import { ConfigError } from '../../core/errors.js';
import { DEFAULT_LIMITS, type Keepalive, type Limits } from '../../rpc/index.js';
import { type Flags, flagName, type Row } from '../flag-reader.js';
import { countOf } from '../values.js';

const million = (n: number): string => `${n / 1e6} million`;

export const GRPC_ROWS: readonly Row[] = [
  [
    '--grpc-max-receive-message-length <bytes>',
    `longest message of a caller (${DEFAULT_LIMITS.maxMessageBytes})`,
  ],
  [
    '--grpc-max-concurrent-runs <n>',
    `simulations at once, over all callers (${DEFAULT_LIMITS.maxConcurrentRuns})`,
  ],
  [
    '--grpc-max-requests-per-run <n>',
    `requests of one simulation (${million(DEFAULT_LIMITS.maxRequestsPerRun)})`,
  ],
  [
    '--grpc-max-events-per-run <n>',
    `events told by one simulation, each token one (${million(DEFAULT_LIMITS.maxEventsPerRun)})`,
  ],
  ['--grpc-keepalive-time-ms <ms>', 'from one ping of an idle connection to the next (60000)'],
  ['--grpc-keepalive-timeout-ms <ms>', 'how long a ping may stay without answer (20000)'],
  ['--grpc-max-connection-age-ms <ms>', 'age at which a connection is asked to reconnect (none)'],
  ['--grpc-max-connection-age-grace-ms <ms>', 'what its calls then have left (10000)'],
];

export interface GrpcOptions {
  readonly limits: Partial<Limits>;
  readonly keepalive: Keepalive;
}

/** @throws {ConfigError} naming the flag */
export function grpcOptions(flags: Flags): GrpcOptions {
  const given = (key: string, field: string): { [field: string]: number } => {
    const text = flags[key];
    if (typeof text !== 'string') return {};
    const flag = flagName(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    const count = countOf(flag, text);
    if (count < 1) throw new ConfigError(flag, 'a whole number of at least 1', text);
    return { [field]: count };
  };
  return {
    limits: {
      ...given('grpcMaxReceiveMessageLength', 'maxMessageBytes'),
      ...given('grpcMaxConcurrentRuns', 'maxConcurrentRuns'),
      ...given('grpcMaxRequestsPerRun', 'maxRequestsPerRun'),
      ...given('grpcMaxEventsPerRun', 'maxEventsPerRun'),
    },
    keepalive: {
      ...given('grpcKeepaliveTimeMs', 'intervalMs'),
      ...given('grpcKeepaliveTimeoutMs', 'timeoutMs'),
      ...given('grpcMaxConnectionAgeMs', 'maxConnectionAgeMs'),
      ...given('grpcMaxConnectionAgeGraceMs', 'maxConnectionAgeGraceMs'),
    },
  };
}
