/**
 * LoRA adapters as the oracle keeps them: the slots of the GPU and of host memory as plain lists.
 *
 * Who needs an adapter: every running request that has tokens left to schedule. Asked anew whenever it
 * matters, never counted along.
 */

import type { GoldenConfig } from '../../parity/golden.js';
import type { OracleRequest } from './request.js';

export class OracleAdapters {
  #onGpu: string[] = [];
  #inHost: string[] = [];
  readonly #lastUsed = new Map<string, number>();
  #numCalls = 0;
  /** Since the schedule call began: adapters put on the GPU, and those of them that came from disk. */
  loads = 0;
  fetches = 0;

  constructor(private readonly config: GoldenConfig) {}

  /** Whether `name` may run beside the adapters of `running`. */
  admits(name: string, running: readonly OracleRequest[]): boolean {
    const needed = this.#needed(running);
    return needed.has(name) || needed.size < this.config.max_loras!;
  }

  /** Puts `name` on the GPU, by way of host memory; least recently used ones make room. */
  use(name: string, running: readonly OracleRequest[]): void {
    const { max_loras, max_cpu_loras } = this.config;
    const needed = this.#needed(running);
    if (!this.#inHost.includes(name)) {
      if (this.#inHost.length === max_cpu_loras) {
        const gone = this.#oldest(this.#inHost, needed);
        this.#inHost = this.#inHost.filter((other) => other !== gone);
        this.#onGpu = this.#onGpu.filter((other) => other !== gone);
      }
      this.#inHost.push(name);
      this.fetches += 1;
    }
    if (this.#onGpu.includes(name)) return;
    if (this.#onGpu.length === max_loras) {
      const gone = this.#oldest(this.#onGpu, needed);
      this.#onGpu = this.#onGpu.filter((other) => other !== gone);
    }
    this.#onGpu.push(name);
    this.loads += 1;
  }

  /** A schedule call begins: no adapter has been loaded in it. */
  beginCall(): void {
    this.loads = 0;
    this.fetches = 0;
    this.#numCalls += 1;
  }

  /** It has decided who runs. */
  endCall(running: readonly OracleRequest[]): void {
    for (const name of this.#needed(running)) this.#lastUsed.set(name, this.#numCalls);
  }

  /** Distinct adapters of those that have something left to schedule. */
  numNeeded(running: readonly OracleRequest[]): number {
    return this.#needed(running).size;
  }

  #needed(running: readonly OracleRequest[]): Set<string> {
    return new Set(
      running
        .filter((request) => this.#hasMore(request))
        .flatMap(({ spec }) => (spec.lora === undefined ? [] : [spec.lora])),
    );
  }

  /** With drafts, how far a request comes is known only when it has ended; stages are followed alike. */
  #hasMore({ numComputed, promptTokens, spec }: OracleRequest): boolean {
    const { num_speculative_tokens, pipeline_parallel_size = 1 } = this.config;
    if (num_speculative_tokens > 0 || pipeline_parallel_size > 1) return true;
    const end = Math.min(promptTokens + spec.max_tokens, this.config.max_model_len);
    return numComputed < end - 1;
  }

  #oldest(names: readonly string[], needed: ReadonlySet<string>): string {
    const idle = names.filter((name) => !needed.has(name));
    const at = (name: string) => this.#lastUsed.get(name)!;
    return idle.toSorted((a, b) => at(a) - at(b) || (a < b ? -1 : 1))[0]!;
  }
}
