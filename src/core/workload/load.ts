/**
 * A load from its options, under the names of `vllm bench serve`: the one place that builds what
 * `simulate` simulates and what `bench` sends.
 *
 *   when       --request-rate, --burstiness, --ramp-up-*   or as the trace says
 *   how long   --random-*                                  or as the trace says
 *   how many   --num-prompts                               or as the trace says
 *   at once    --max-concurrency
 *   with what  --num-loras, --lora-zipf                or as the trace says
 *   in turns   --multi-turn: then rate and number are those of conversations
 */

import { ConfigError } from '../errors.js';
import { Rng } from '../rng.js';
import {
  AdaptedBodies,
  AdapterChoice,
  type AdapterOptions,
  adaptedTrace,
  checkAdapters,
} from './adapters.js';
import { gapsOf } from './arrivals/gaps.js';
import { RAMP_UP_STRATEGIES, RampedGaps, type RampUp } from './arrivals/ramp.js';
import { ClosedLoop } from './closed-loop.js';
import {
  ConversationBodies,
  type ConversationOptions,
  Conversations,
  checkConversations,
} from './conversations.js';
import { type Bodies, type RandomLengths, randomBodies } from './lengths/random.js';
import { normaliser, PacedLoad } from './paced-load.js';
import { TraceBodies, TraceReplay, type TraceSource } from './trace-replay.js';
import type { Workload } from './workload.js';

export interface LoadOptions {
  readonly source: RandomSource | RecordedSource;
  /** Absent: all of a trace, `DEFAULT_NUM_PROMPTS` drawn ones. */
  readonly numPrompts?: number | undefined;
  /** Requests per second, `Infinity`: all at once. Absent: as the trace says, `Infinity` otherwise. */
  readonly requestRate?: number | undefined;
  /** Shape of the distribution of gaps; `Infinity`: constant. Absent: 1, Poisson. */
  readonly burstiness?: number | undefined;
  /** Absent: no bound. */
  readonly maxConcurrency?: number | undefined;
  readonly rampUp?: RampUp | undefined;
  /** Each drawn prompt begins a conversation. Absent: it stands alone. */
  readonly conversations?: ConversationOptions | undefined;
  /** LoRA adapters that requests are spread over. Absent: those of the trace, or none. */
  readonly adapters?: AdapterOptions | undefined;
}

export interface RandomSource extends RandomLengths {
  readonly kind: 'random';
}

export interface RecordedSource {
  readonly kind: 'trace';
  /** Factor on the speed of its arrivals. */
  readonly speed: number;
  /** Starts reading it from its first row. */
  open(): TraceSource;
}

export const DEFAULT_NUM_PROMPTS = 1000;
export const DEFAULT_LENGTHS: RandomLengths = {
  inputLen: 1024,
  outputLen: 128,
  rangeRatio: 0,
  prefixLen: 0,
};

/** The load that `options` describe, checked before; the same seed gives the same requests. */
export function buildLoad(options: LoadOptions, seed: number): Workload {
  const load = openLoad(options, new Rng(seed));
  return options.maxConcurrency === undefined ? load : new ClosedLoop(load, options.maxConcurrency);
}

function openLoad(options: LoadOptions, rng: Rng): Workload {
  const { source, conversations } = options;
  if (!conversations || source.kind !== 'random') return openRequests(options, rng);
  const bodies = new ConversationBodies(source, conversations, rng, adaptersOf(options, rng));
  return new Conversations(openRequests(options, rng, bodies), bodies, conversations);
}

/** @param given what is asked, where it is not what `options` say */
function openRequests(options: LoadOptions, rng: Rng, given?: Bodies): Workload {
  const { rampUp, requestRate, numPrompts } = options;
  const adapters = adaptersOf(options, rng);
  const source = adapters ? adaptedSource(options.source, adapters) : options.source;
  if (source.kind === 'trace' && requestRate === undefined && !rampUp) {
    return new TraceReplay(source.open(), { speed: source.speed, numRequests: numPrompts });
  }
  const numRequests = numPrompts ?? (source.kind === 'random' ? DEFAULT_NUM_PROMPTS : undefined);
  const burstiness = options.burstiness ?? 1;
  const bodies = given ?? openBodies(source, numRequests, rng, adapters);
  const gaps = gapsOf(burstiness, rng.stream('arrivals'));
  if (rampUp) {
    const ramped = new RampedGaps(gaps, rampUp, numRequests ?? 1);
    return new PacedLoad({ gaps: ramped, gapSeconds: 1, bodies, numRequests });
  }
  const rate = requestRate ?? Infinity;
  const exact =
    numRequests === undefined || rate === Infinity
      ? 1
      : normaliser(gapsOf(burstiness, rng.stream('arrivals')), numRequests);
  return new PacedLoad({ gaps, gapSeconds: exact / rate, bodies, numRequests });
}

function openBodies(
  source: LoadOptions['source'],
  numRequests: number | undefined,
  rng: Rng,
  adapters: AdapterChoice | undefined,
): Bodies {
  if (source.kind !== 'random') return new TraceBodies(source.open(), numRequests);
  const bodies = randomBodies(source, rng);
  return adapters ? new AdaptedBodies(bodies, adapters) : bodies;
}

const adaptersOf = ({ adapters }: LoadOptions, rng: Rng): AdapterChoice | undefined =>
  adapters && new AdapterChoice(adapters, rng.stream('lora'));

const adaptedSource = (
  source: LoadOptions['source'],
  adapters: AdapterChoice,
): LoadOptions['source'] =>
  source.kind === 'random'
    ? source
    : { ...source, open: () => adaptedTrace(source.open(), adapters) };

/**
 * Refuses a load that means nothing.
 *
 * @param name how a surface spells a field given in snake_case: a flag, or a path in a file
 * @throws {ConfigError}
 */
export function checkLoad(options: LoadOptions, name: (field: string) => string): void {
  const { source, rampUp } = options;
  const positive = (field: string, value: number | undefined, what = 'a positive number') => {
    if (value !== undefined && !(value > 0)) throw new ConfigError(name(field), what, value);
  };
  const count = (field: string, value: number | undefined, least: number) => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new ConfigError(name(field), `a whole number of at least ${least}`, value);
    }
  };
  count('num_prompts', options.numPrompts, 1);
  count('max_concurrency', options.maxConcurrency, 1);
  positive('request_rate', options.requestRate, 'requests per second above 0, or inf');
  positive('burstiness', options.burstiness, 'a number above 0, or inf');
  if (source.kind === 'random') {
    count('random_input_len', source.inputLen, 1);
    count('random_output_len', source.outputLen, 1);
    count('random_prefix_len', source.prefixLen, 0);
    for (const ratio of [source.rangeRatio, source.outputRangeRatio ?? 0]) {
      if (ratio >= 0 && ratio < 1) continue;
      throw new ConfigError(name('random_range_ratio'), 'a number in [0, 1)', ratio);
    }
  } else if (!(source.speed > 0 && source.speed < Infinity)) {
    throw new ConfigError(name('trace_speed'), 'a number above 0', source.speed);
  }
  if (rampUp) checkRamp(options, rampUp, name);
  if (options.adapters) checkAdapters(options.adapters, name);
  if (!options.conversations) return;
  checkConversations(options.conversations, name);
  if (source.kind !== 'random') {
    throw new ConfigError(name('multi_turn'), 'drawn lengths, not a recorded load', source.kind);
  }
}

function checkRamp(options: LoadOptions, ramp: RampUp, name: (field: string) => string): void {
  const { strategy, startRps, endRps } = ramp;
  if (!RAMP_UP_STRATEGIES.includes(strategy)) {
    throw new ConfigError(name('ramp_up_strategy'), RAMP_UP_STRATEGIES.join(' or '), strategy);
  }
  if (options.requestRate !== undefined) {
    throw new ConfigError(name('request_rate'), 'nothing beside a ramp', options.requestRate);
  }
  const given = (rate: number) => (Number.isNaN(rate) ? undefined : rate);
  const lowest = strategy === 'linear' ? 0 : Number.MIN_VALUE;
  if (!(startRps >= lowest && startRps < Infinity)) {
    const what = strategy === 'linear' ? 'a rate of at least 0' : 'a rate above 0';
    throw new ConfigError(name('ramp_up_start_rps'), what, given(startRps));
  }
  if (!(endRps >= startRps && endRps > 0 && endRps < Infinity)) {
    throw new ConfigError(
      name('ramp_up_end_rps'),
      'a rate not below the start of the ramp',
      given(endRps),
    );
  }
  if (options.source.kind === 'trace' && options.numPrompts === undefined) {
    throw new ConfigError(name('num_prompts'), 'the number of requests the ramp spans', undefined);
  }
}
