/** The cluster behind a served model: simulated, with given times, or with those of a recording. */

import { createEngine } from '../../core/cluster/cluster.js';
import { GivenTimes, type TokenTimes } from '../../core/cluster/given-times.js';
import type { Engine } from '../../core/engine.js';
import { ConfigError } from '../../core/errors.js';
import { inputTimesOf, type ResolvedPool } from '../../core/perf/resolve.js';
import { fanOut, type Tracer } from '../../core/trace/tracer.js';
import { nsFromMs } from '../../core/units.js';
import { readRecording } from '../../files/recording.js';
import type { Clock } from '../../pipeline/clock.js';
import { LiveCluster } from '../../pipeline/live-cluster.js';
import { instancesOf } from '../compose.js';

export interface GivenLatencies {
  readonly ttftMs: number;
  readonly itlMs: number;
}

/** Times of the request with this number. */
export type Playback = (index: number) => TokenTimes | undefined;

export interface ServedClusterOptions {
  readonly router: string;
  readonly seed: number;
  readonly clock: Clock;
  readonly given: GivenLatencies | undefined;
  readonly playback: Playback | undefined;
  readonly recorder: Tracer | undefined;
  readonly onLag: (lagMs: number) => void;
}

export function servedCluster(
  pools: readonly ResolvedPool[],
  options: ServedClusterOptions,
): LiveCluster {
  const { router, seed, onLag, playback, clock, recorder } = options;
  const given = options.given ?? (playback && { ttftMs: 0, itlMs: 0 });
  const first = pools[0]!;
  const { maxModelLen, numGpuBlocks, blockSize } = first.scheduler;
  const engineOf = (tracer: Tracer): Engine =>
    given
      ? new GivenTimes({
          ttftNs: nsFromMs(given.ttftMs),
          itlNs: given.itlMs * 1e6,
          maxModelLen,
          numBlocks: numGpuBlocks - 1,
          blockSize,
          tracer,
          ...(playback && { timesOf: playback }),
        })
      : createEngine({
          instances: pools.flatMap(instancesOf),
          router,
          seed,
          ...inputTimesOf(first),
          tracer,
        });
  return new LiveCluster({
    clock,
    createEngine: (tracer) => engineOf(recorder ? fanOut([tracer, recorder]) : tracer),
    onLag,
  });
}

/**
 * The times of a recording, again and again.
 *
 * @throws {ConfigError}
 */
export function playbackOf(path: string, onWarning: (text: string) => void): Playback {
  const answered = readRecording(path, { flag: '--playback', onWarning }).filter(
    ({ ttftMs }) => ttftMs !== undefined,
  );
  if (answered.length === 0) {
    throw new ConfigError('--playback', 'a recording with answers', path);
  }
  const times = answered.map(({ ttftMs, gapsMs }) => ({
    ttftNs: nsFromMs(ttftMs!),
    gapsNs: gapsMs.map(nsFromMs),
  }));
  return (index) => times[index % times.length];
}
