/**
 * Playing conversations with several clients. Each client has one request in flight: it takes one of
 * its active conversations, sends the next user turn with the whole history, and puts the real answer
 * where the recorded one stood. So concurrency is the number of clients, and a conversation's prompts
 * grow over what a prefix cache can find.
 */

import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import { waitUntil } from '../pacer.js';
import type { RequestRecord } from '../request.js';
import type { LoadSender } from '../threads/spread-sender.js';
import type { ChatTurn, Conversation } from './conversations.js';

export interface PlayOptions {
  readonly conversations: readonly Conversation[];
  readonly sender: Pick<LoadSender, 'begin' | 'send' | 'idled'>;
  readonly numClients: number;
  readonly maxActive: number;
  /** Over all clients; absent: until all conversations are over. */
  readonly maxRequests?: number | undefined;
  /** Of messages, user's and assistant's. */
  readonly maxTurns?: number | undefined;
  /** Requests per second of each client; 0: no pause between answer and next question. */
  readonly requestRate: number;
  readonly sampling: 'round_robin' | 'random';
  /** Ends all clients when the first has no conversation left, so that no part with less load is measured. */
  readonly earlyStop: boolean;
  readonly seed: number;
  countTokens(text: string): number;
  /** Bounds on an answer's tokens, from those of the recorded one. */
  limits(recordedTokens: number): { readonly min?: number; readonly max: number };
  readonly sendConversationId: boolean;
  /** Sends every first turn once before, unmeasured; the run starts from the second. */
  readonly warmUp: boolean;
  readonly verify: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onTurn?: (turn: PlayedTurn) => void;
}

/** One request of a conversation. */
export interface PlayedTurn {
  readonly conversation: string;
  readonly client: number;
  /** Messages sent. */
  readonly numTurns: number;
  readonly historyTokens: number;
  readonly inputTokens: number;
  readonly record: RequestRecord;
}

export interface Played {
  readonly turns: readonly PlayedTurn[];
  readonly runtimeMs: number;
  readonly warmUpMs: number;
  /** Conversations with the answers they got. */
  readonly conversations: readonly Conversation[];
}

interface Active {
  readonly conversation: Conversation;
  readonly messages: ChatTurn[];
  /** Index of the next user message. */
  next: number;
}

/** @throws {ConfigError} for numbers that do not fit together */
export function checkPlay(
  options: Pick<PlayOptions, 'numClients' | 'maxActive' | 'maxRequests'> & {
    readonly conversations: { readonly length: number };
  },
): void {
  const { numClients, maxActive, maxRequests, conversations } = options;
  const atLeast = (flag: string, value: number, least: number, why: string) => {
    if (!(value >= least)) throw new ConfigError(flag, `at least ${least} (${why})`, value);
  };
  atLeast('--num-clients', numClients, 1, 'one client');
  if (conversations.length < numClients) {
    throw new ConfigError(
      '--input-file',
      `a conversation for each of ${numClients} clients`,
      conversations.length,
    );
  }
  atLeast('--max-active-conversations', maxActive, numClients, 'one for each client');
  if (maxActive > conversations.length) {
    throw new ConfigError(
      '--max-active-conversations',
      `at most the ${conversations.length} conversations of the file`,
      maxActive,
    );
  }
  if (maxRequests !== undefined) {
    atLeast('--max-num-requests', maxRequests, numClients, 'one for each client');
  }
}

export async function play(options: PlayOptions): Promise<Played> {
  checkPlay(options);
  const queue: Active[] = options.conversations.map((conversation) => ({
    conversation,
    messages: [...conversation.messages],
    next: 0,
  }));
  const all = [...queue];
  const warmUpMs = options.warmUp ? await warmUp(options, queue) : 0;
  const turns: PlayedTurn[] = [];
  const stop = new AbortController();
  options.sender.begin();
  const originMs = performance.now();
  const clients = Array.from({ length: options.numClients }, (_, i) =>
    client(options, { index: i, queue, turns, stop, originMs }),
  );
  await Promise.all(clients);
  return {
    turns,
    runtimeMs: performance.now() - originMs,
    warmUpMs,
    conversations: all.map(({ conversation, messages }) => ({ id: conversation.id, messages })),
  };
}

interface ClientState {
  readonly index: number;
  readonly queue: Active[];
  readonly turns: PlayedTurn[];
  readonly stop: AbortController;
  readonly originMs: number;
}

/** The i-th of `parts` shares of a whole, the rest spread over the first ones. */
export const share = (whole: number, parts: number, i: number): number =>
  Math.floor(whole / parts) + (i < whole % parts ? 1 : 0);

async function client(options: PlayOptions, state: ClientState): Promise<void> {
  const { numClients, maxActive, maxRequests = Infinity, signal, requestRate } = options;
  const chance = new Rng(options.seed + state.index + 1).stream('client');
  const mostActive = share(maxActive, numClients, state.index);
  let left = maxRequests === Infinity ? Infinity : share(maxRequests, numClients, state.index);
  const active: Active[] = [];
  const over = () => state.stop.signal.aborted || signal?.aborted;
  while (left > 0 && !over()) {
    while (active.length < mostActive) {
      const next = state.queue.shift();
      if (!next) break;
      active.push(next);
    }
    if (active.length === 0) {
      // The last conversations are over: what follows would be less load.
      if (options.earlyStop) state.stop.abort();
      break;
    }
    const at = options.sampling === 'random' ? chance.integer(0, active.length - 1) : 0;
    const [chosen] = active.splice(at, 1);
    left--;
    const goesOn = await turn(options, state, chosen!);
    if (goesOn) active.push(chosen!);
    if (requestRate > 0 && left > 0 && !over()) {
      const dueMs = performance.now() + (1e3 * chance.exponential()) / requestRate;
      await waitUntil(dueMs, signal, (ms) => options.sender.idled(ms));
    }
  }
}

/** Sends the next user turn; whether the conversation goes on. */
async function turn(options: PlayOptions, state: ClientState, active: Active): Promise<boolean> {
  const { conversation, messages, next } = active;
  const last = Math.min(messages.length, options.maxTurns ?? Infinity);
  if (next >= last) return false;
  const history = messages.slice(0, next + 1);
  const tokensOf = (part: readonly ChatTurn[]) =>
    part.reduce((sum, { content }) => sum + options.countTokens(content), 0);
  const recorded = messages[next + 1]?.content;
  const historyTokens = tokensOf(history.slice(0, -1));
  const estimate = historyTokens + tokensOf(history.slice(-1));
  const { min, max } = options.limits(recorded === undefined ? 1 : options.countTokens(recorded));
  const dispatchedMs = performance.now();
  const record = await options.sender.send(
    {
      id: `${conversation.id}-${next}`,
      prompt: history,
      promptTokens: estimate,
      maxTokens: max,
      overrides: {
        seed: 0,
        temperature: 0,
        ...(min !== undefined && { min_tokens: min }),
        ...(options.sendConversationId && { conversation_id: conversation.id }),
      },
      ...(options.sendConversationId && { headers: { 'x-session-id': conversation.id } }),
    },
    { originMs: state.originMs, scheduledMs: dispatchedMs, dispatchedMs },
    options.signal,
  );
  if (record.failure?.kind === 'interrupted') return false;
  const played: PlayedTurn = {
    conversation: conversation.id,
    client: state.index,
    numTurns: history.length,
    historyTokens,
    inputTokens: record.promptTokens,
    record,
  };
  state.turns.push(played);
  options.onTurn?.(played);
  if (record.failure) return false;
  if (options.verify && recorded !== undefined && record.text.trim() !== recorded.trim()) {
    const got = record.text.slice(0, 80);
    throw new ConfigError(`${conversation.id}[${next + 1}]`, recorded.slice(0, 80), got);
  }
  messages[next + 1] = { role: 'assistant', content: record.text };
  active.next = next + 2;
  return active.next < last;
}

async function warmUp(options: PlayOptions, queue: readonly Active[]): Promise<number> {
  const startMs = performance.now();
  const state = { index: 0, queue: [], turns: [], stop: new AbortController(), originMs: startMs };
  let next = 0;
  const one = async () => {
    for (let active = queue[next++]; active; active = queue[next++]) {
      await turn({ ...options, verify: false }, state, active);
    }
  };
  await Promise.all(Array.from({ length: options.numClients }, one));
  return performance.now() - startMs;
}
