/**
 * `SimulateStream`: a simulation steered by its caller.
 *
 * Commands are carried out one after the other, in the order in which they come; what happens meanwhile
 * goes out as it is pulled. The end of the commands ends the simulation: what is under way is finished,
 * and the report is the last word.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Configure,
  SimulateStreamRequest,
  SimulateStreamResponseSchema,
  Submit,
} from '../../../gen/llmservingsim/v1/service_pb.js';
import type { Composition } from '../../config/composition.js';
import type { RequestSpec } from '../../core/engine.js';
import { inputTimesOf } from '../../core/perf/resolve.js';
import { msFromNs, nsFromMs, type TimeNs } from '../../core/units.js';
import type { Detail, SimulationEvent } from '../../pipeline/events.js';
import { SteeredSimulation } from '../../pipeline/steered-simulation.js';
import { type Call, untilAborted } from '../call.js';
import { invalidField } from '../errors.js';
import { EventBudget } from '../limits.js';
import { detailOf, EventMessages, weightOf } from '../messages/events.js';
import { reportMessage } from '../messages/report.js';
import { composeScenario, placeAt } from '../scenario.js';
import { eventBatch, runOf, type SimulateOptions } from './simulate.js';

type Response = MessageInitShape<typeof SimulateStreamResponseSchema>;
type Content = NonNullable<Response['content']>;
type Told = Exclude<SimulationEvent, { kind: 'report' }>;

export async function* simulateStream(
  options: SimulateOptions,
  requests: AsyncIterable<SimulateStreamRequest>,
  { signal }: Call,
): AsyncGenerator<Response> {
  const commands = requests[Symbol.asyncIterator]();
  const first = await commands.next();
  if (first.done || first.value.command.case !== 'configure') {
    throw invalidField('command', 'configure, first', first.value?.command.case);
  }
  const end = options.runs.begin();
  let session: Session | undefined;
  try {
    session = await openSession(first.value.command.value, options);
    yield* session.run(commands, signal);
  } finally {
    session?.close();
    end();
  }
}

/** Refuses what cannot be configured before it looks anything up. */
async function openSession(request: Configure, options: SimulateOptions): Promise<Session> {
  const { composer, limits } = options;
  const detail = detailOf(request.detail, 'configure.detail', 'tokens');
  const { clock, speed } = request;
  if (!['', 'virtual', 'wall'].includes(clock)) {
    throw invalidField('configure.clock', 'virtual or wall', clock);
  }
  if (!(speed >= 0)) throw invalidField('configure.speed', 'a factor above 0', speed);
  if (request.scenario?.workload) {
    throw invalidField('configure.scenario.workload', 'nothing: requests are submitted', 'a load');
  }
  const { allowFiles } = limits;
  const place = placeAt('configure.scenario');
  const composition = await composeScenario(request.scenario, { composer, allowFiles }, place);
  return new Session(request, composition, detail, options);
}

class Session {
  readonly #composition: Composition;
  readonly #simulation: SteeredSimulation;
  readonly #messages: EventMessages;
  readonly #budget: EventBudget;
  readonly #stepped: boolean;
  /** Answers to commands, after the events that came before them. */
  readonly #answers: Content[] = [];
  #sequence = 0;
  #numNamed = 0;
  #wake = () => {};
  #over = false;
  #failure: unknown;

  constructor(
    request: Configure,
    composition: Composition,
    detail: Detail,
    { composer, limits }: SimulateOptions,
  ) {
    this.#composition = composition;
    this.#messages = new EventMessages(request);
    this.#budget = new EventBudget(limits);
    this.#stepped = request.clock !== 'wall';
    const { seed, router, pools } = composition;
    this.#simulation = new SteeredSimulation({
      instances: pools.flatMap((pool, i) => composer.instancesOf(pool, i)),
      router,
      seed,
      ...inputTimesOf(pools[0]!),
      detail,
      onEvents: () => this.#wake(),
    });
    this.#simulation.clock.setSpeed(this.#stepped ? 0 : request.speed || 1);
  }

  async *run(
    commands: AsyncIterator<SimulateStreamRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<Response> {
    const aborted = untilAborted(signal);
    this.#obeyAll(commands, aborted).then(
      () => this.#finish(),
      (reason) => this.#finish(reason),
    );
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const over = this.#over;
        const answers = this.#answers.splice(0);
        yield* this.#events();
        for (const answer of answers) yield this.#response(answer);
        if (over) break;
        const news = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        if (this.#answers.length === 0 && !this.#over && !this.#simulation.hasNews) {
          await Promise.race([news, aborted]);
        }
        signal.throwIfAborted();
      }
      const { offered } = this.#simulation;
      const run = runOf(this.#composition, offered, this.#simulation.report());
      yield this.#response({ case: 'report', value: reportMessage(run) });
    } finally {
      aborted.cancel();
    }
  }

  close(): void {
    this.#simulation.close();
  }

  *#events(): Generator<Response> {
    const events = this.#simulation.take() as readonly Told[];
    if (events.length === 0) return;
    this.#budget.spend(events.reduce((sum, event) => sum + weightOf(event), 0));
    for (const batch of this.#messages.batches(events)) {
      yield this.#response({ case: 'events', value: eventBatch(batch) });
    }
  }

  #response(content: Content): Response {
    return { sequence: ++this.#sequence, content };
  }

  async #obeyAll(
    commands: AsyncIterator<SimulateStreamRequest>,
    aborted: Promise<never>,
  ): Promise<void> {
    for (;;) {
      const next = await Promise.race([commands.next(), aborted]);
      if (next.done) break;
      await this.#obey(next.value);
    }
    const { clock } = this.#simulation;
    if (this.#stepped) await clock.advanceTo(Infinity);
    else {
      clock.resume();
      await clock.idle();
    }
  }

  #finish(reason?: unknown): void {
    this.#failure = reason;
    this.#over = true;
    this.#wake();
  }

  async #obey({ command }: SimulateStreamRequest): Promise<void> {
    const simulation = this.#simulation;
    const { clock } = simulation;
    switch (command.case) {
      case 'submit':
        return this.#submit(command.value);
      case 'cancel':
        return simulation.cancel(command.value.requestId);
      case 'setSpeed': {
        const { speed } = command.value;
        this.#needsWallClock('set_speed');
        if (!(speed > 0)) throw invalidField('set_speed.speed', 'a factor above 0', speed);
        return clock.setSpeed(speed);
      }
      case 'pause':
        this.#needsWallClock('pause');
        return clock.pause();
      case 'resume':
        this.#needsWallClock('resume');
        return clock.resume();
      case 'advance':
        return this.#advance(command.value.untilMs);
      case 'configure':
        throw invalidField('command', 'configure only once', 'again');
      default:
        throw invalidField('command', 'a command', undefined);
    }
  }

  /** Virtual time stands anyway, until it is told to advance. */
  #needsWallClock(command: string): void {
    if (this.#stepped) throw invalidField(command, 'the clock `wall`', 'virtual');
  }

  #submit({ request }: Submit): void {
    const at = 'submit.request';
    if (!request) throw invalidField(at, 'a request', undefined);
    const { promptTokens, outputTokens, priority, arrivalMs, lora } = request;
    const id = request.requestId || String(this.#numNamed++);
    if (promptTokens < 1) throw invalidField(`${at}.prompt_tokens`, 'at least 1', promptTokens);
    if (outputTokens < 1) throw invalidField(`${at}.output_tokens`, 'at least 1', outputTokens);
    if (!(arrivalMs >= 0 && arrivalMs < Infinity)) {
      throw invalidField(`${at}.arrival_ms`, 'milliseconds, at least 0', arrivalMs);
    }
    if (this.#simulation.isUnfinished(id)) {
      throw invalidField(`${at}.request_id`, 'an id no unfinished request has', id);
    }
    const spec = {
      id,
      promptTokens,
      maxTokens: outputTokens,
      priority,
      ...(lora && { lora }),
    } satisfies RequestSpec;
    this.#simulation.submit(spec, nsFromMs(arrivalMs));
  }

  async #advance(untilMs: number): Promise<void> {
    const simulation = this.#simulation;
    if (!this.#stepped) throw invalidField('advance', 'the clock `virtual`', 'wall');
    const until: TimeNs = untilMs === Infinity ? Infinity : nsFromMs(untilMs);
    if (!(until >= simulation.now)) {
      throw invalidField(
        'advance.until_ms',
        `a time not before now, ${msFromNs(simulation.now)}`,
        untilMs,
      );
    }
    await simulation.clock.advanceTo(until);
    const { now, numUnfinished } = simulation;
    // What happened until then goes out first.
    this.#answers.push({
      case: 'advanced',
      value: { atMs: msFromNs(now), numUnfinished },
    });
    this.#wake();
  }
}
