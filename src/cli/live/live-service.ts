/**
 * What a server serves: a live cluster for each model of the scenario, seen by the adapters through
 * their ports, and one status over all of them.
 */

import { debounceTime, filter, map, merge, type Observable } from 'rxjs';
import type { RequestSpec } from '../../core/engine.js';
import { ConfigError } from '../../core/errors.js';
import type { ResolvedPool } from '../../core/perf/resolve.js';
import { type PromptTexts, Recorder, RecordingFile } from '../../files/recorder.js';
import {
  type ClusterModelOptions,
  clusterModel,
  type LiveModel,
  type LiveService,
} from '../../openai/index.js';
import { clockOfSpeed } from '../../pipeline/clock.js';
import {
  chatTemplateOf,
  lexiconOf,
  preparePrompt,
  renderChat,
  tokenizerFor,
} from '../../text/index.js';
import { LiveMetrics } from './live-metrics.js';
import { liveStatus } from './live-status.js';
import type { Served } from './served.js';
import { type GivenLatencies, playbackOf, servedCluster } from './served-cluster.js';
import type { LoraModule } from './server-flags.js';

export interface LiveServiceOptions {
  readonly pools: readonly ResolvedPool[];
  readonly router: string;
  readonly seed: number;
  readonly speed: number;
  /** Given times instead of simulated ones. */
  readonly given: GivenLatencies | undefined;
  /** Where requests are recorded. */
  readonly record?: string | undefined;
  /** With the text of their prompts. */
  readonly recordText?: boolean;
  /** A recording whose times are played back, instead of simulated ones. */
  readonly playback?: string | undefined;
  /** Names clients may use for the first model, instead of its own. */
  readonly servedModelNames: readonly string[];
  /** LoRA adapters of the first model, by the names under which clients ask for them. */
  readonly loraModules: readonly LoraModule[];
  readonly tokenizer: string | undefined;
  readonly onLag: (lagMs: number) => void;
}

/** A name of a model, and what stands behind it. */
export interface ServedModel extends ClusterModelOptions {
  readonly pools: readonly ResolvedPool[];
}

/** How long nothing is left to do before the service counts as idle, in wall milliseconds. */
const REST_MS = 1_000;

export class ClusterService implements LiveService {
  #draining = false;
  readonly models: readonly LiveModel[];
  readonly #metrics: LiveMetrics;
  /** Tells once, after work, that nothing has been left to do for a second: how much was answered. */
  readonly rest$: Observable<string>;

  private constructor(
    readonly served: readonly Served[],
    /** Every name a client may use, with what stands behind it. */
    readonly servedModels: readonly ServedModel[],
    /** Choices made for the user, in sentences. */
    readonly notes: readonly string[],
    /** What the user should know of the files that were read. */
    readonly warnings: readonly string[],
    private readonly recording: RecordingFile | undefined,
  ) {
    this.models = servedModels.map(clusterModel);
    this.#metrics = new LiveMetrics(served);
    this.rest$ = merge(...served.map(({ cluster }) => cluster.idle$)).pipe(
      debounceTime(REST_MS),
      filter(() => this.numUnfinished === 0 && !this.#draining),
      map(() => answeredSoFar(served)),
    );
  }

  static async create(options: LiveServiceOptions): Promise<ClusterService> {
    const served: Served[] = [];
    const models: ServedModel[] = [];
    const notes: string[] = [];
    const warnings: string[] = [];
    const onWarning = (text: string) => warnings.push(text);
    const playback =
      options.playback === undefined ? undefined : playbackOf(options.playback, onWarning);
    const recording = options.record === undefined ? undefined : new RecordingFile(options.record);
    const texts: PromptTexts | undefined =
      recording && options.recordText ? new WeakMap() : undefined;
    const created = Math.floor(Date.now() / 1e3);
    for (const [name, pools] of groupByModel(options.pools)) {
      const cluster = servedCluster(pools, {
        ...options,
        playback,
        clock: clockOfSpeed(options.speed),
        recorder: recording && new Recorder(recording, name, texts),
      });
      served.push({ name, cluster, pools });
      const { tokenizer, note } = await tokenizerFor(name, options.tokenizer);
      notes.push(note, ...pools.flatMap((pool) => pool.notes));
      const isFirst = served.length === 1;
      const names =
        isFirst && options.servedModelNames.length > 0 ? options.servedModelNames : [name];
      const model = {
        cluster,
        pools,
        created,
        tokenizer,
        maxModelLen: Math.max(...pools.map((pool) => pool.scheduler.maxModelLen)),
        template: chatTemplateOf(name),
        ...(texts && { onPrompt: (spec: RequestSpec, text: string) => texts.set(spec, text) }),
      };
      for (const id of names) models.push({ ...model, id });
      for (const lora of isFirst ? checkedModules(options.loraModules, names, pools) : []) {
        models.push({ ...model, id: lora.name, lora: { ...lora, parent: names[0]! } });
      }
    }
    return new ClusterService(served, models, [...new Set(notes)], warnings, recording);
  }

  /** Makes what the first answer would otherwise wait for. */
  warmUp(): void {
    for (const { tokenizer, template } of this.models) {
      preparePrompt(renderChat([{ role: 'user', content: 'Hello.' }], template), tokenizer);
      lexiconOf(tokenizer);
    }
  }

  /** From now on no request is taken. */
  drain(): void {
    this.#draining = true;
  }

  get numUnfinished(): number {
    return this.served.reduce((sum, { cluster }) => sum + cluster.numUnfinished, 0);
  }

  async drained(): Promise<void> {
    await Promise.all(this.served.map(({ cluster }) => cluster.drained()));
  }

  close(): void {
    for (const { cluster } of this.served) cluster.close(new Error('The server is shutting down.'));
    this.recording?.close();
  }

  refusal(): { readonly message: string; readonly retryAfterS?: number } | undefined {
    if (!this.#draining) return undefined;
    return { message: 'The server is shutting down.', retryAfterS: 1 };
  }

  metrics(): string {
    return this.#metrics.text();
  }

  status(): object {
    return liveStatus(this.served, this.#draining);
  }
}

function answeredSoFar(served: readonly Served[]): string {
  let requests = 0;
  let tokens = 0;
  for (const { cluster } of served) {
    requests += cluster.counts.completed;
    tokens += cluster.counts.outputTokens;
  }
  return `${requests} ${requests === 1 ? 'request' : 'requests'} and ${tokens} tokens answered so far`;
}

/** @throws {ConfigError} for adapters without a place to run, and for names that are taken. */
function checkedModules(
  modules: readonly LoraModule[],
  names: readonly string[],
  pools: readonly ResolvedPool[],
): readonly LoraModule[] {
  if (modules.length > 0 && pools.some(({ deployment }) => !deployment.lora)) {
    const hint = 'Add --enable-lora, and as many --max-loras as a step may have.';
    throw new ConfigError(
      '--lora-modules',
      'an engine that serves adapters',
      modules[0]!.name,
      hint,
    );
  }
  const taken = modules.find(({ name }) => names.includes(name));
  if (taken) throw new ConfigError('--lora-modules', 'a name no model has', taken.name);
  return modules;
}

function groupByModel(pools: readonly ResolvedPool[]): Map<string, ResolvedPool[]> {
  const groups = new Map<string, ResolvedPool[]>();
  for (const pool of pools) {
    const { name } = pool.spec.model;
    groups.set(name, [...(groups.get(name) ?? []), pool]);
  }
  return groups;
}
