/** The flags of conversations, named as in vllm-bench, and what they ask for. */

import { ConfigError } from '../core/errors.js';
import { type ConversationOptions, DEFAULT_TURNS } from '../core/workload/conversations.js';
import { type Flags, Reader, type Row } from './flag-reader.js';

export const CONVERSATIONS: readonly Row[] = [
  ['--multi-turn', 'each prompt begins a conversation; rate and number count these'],
  ['--multi-turn-num-turns <n>', `questions of a conversation (${DEFAULT_TURNS})`],
  ['--multi-turn-min-turns <n>', 'or drawn: at least'],
  ['--multi-turn-max-turns <n>', 'and at most'],
  ['--multi-turn-delay-ms <ms>', 'from an answer to the next question (0)'],
  ['--multi-turn-concurrency <n>', 'most conversations under way'],
  ['--per-turn-input-len <n>', 'tokens of later questions (as --random-input-len)'],
];

/** `--multi-turn` and its companions; checked with the load. */
export function conversationsFromFlags(flags: Flags): ConversationOptions | undefined {
  const given = new Reader(flags);
  const turns = given.count('multi_turn_num_turns');
  const min = given.count('multi_turn_min_turns');
  const max = given.count('multi_turn_max_turns');
  const delayMs = given.number('multi_turn_delay_ms');
  const maxActive = given.count('multi_turn_concurrency');
  const perTurnInputLen = given.count('per_turn_input_len') || undefined;
  if (!given.flag('multi_turn')) {
    if ([turns, min, max, delayMs, maxActive, perTurnInputLen].every((v) => v === undefined))
      return;
    throw new ConfigError('--multi-turn', 'to be given beside its companions', undefined);
  }
  if (turns !== undefined && (min ?? max) !== undefined) {
    throw new ConfigError(
      '--multi-turn-num-turns',
      'a number of turns, or a least and a most',
      turns,
    );
  }
  if (turns !== undefined && turns < 1) {
    throw new ConfigError('--multi-turn-num-turns', 'a whole number of at least 1', turns);
  }
  const minTurns = turns ?? min ?? Math.min(DEFAULT_TURNS, max ?? Infinity);
  const maxTurns = turns ?? max ?? Math.max(DEFAULT_TURNS, minTurns);
  return { minTurns, maxTurns, delayMs: delayMs ?? 0, perTurnInputLen, maxActive };
}
