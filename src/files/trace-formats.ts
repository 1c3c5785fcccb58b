/**
 * The formats of recorded traces, as data: which container, and what its fields are called.
 *
 * A new format is one entry here. All of them say when a request came and how long it was; some name
 * the content of the prompt, so that prefixes can be shared.
 */

export interface TraceFormat {
  readonly name: string;
  readonly about: string;
  readonly container: 'csv' | 'jsonl';
  readonly fields: {
    readonly time: string;
    readonly promptTokens: string;
    readonly outputTokens: string;
    readonly id?: string;
    /** Ids of the prompt's blocks: equal ids are equal tokens at equal places. */
    readonly hashIds?: string;
    /** Name of the LoRA adapter, in rows that have one. */
    readonly lora?: string;
  };
  /** How the time is written: a date of wall clock, or a number of these. */
  readonly timeUnit: 'date' | 's' | 'ms' | 'ns';
  /** Rows without an answer were failures, and are left out. */
  readonly skipsEmpty?: true;
}

export const TRACE_FORMATS: readonly TraceFormat[] = [
  {
    name: 'azure',
    about: 'Azure LLM inference traces, 2023 and 2024 (CSV)',
    container: 'csv',
    fields: { time: 'TIMESTAMP', promptTokens: 'ContextTokens', outputTokens: 'GeneratedTokens' },
    timeUnit: 'date',
  },
  {
    name: 'vidur',
    about: 'processed traces of Vidur and Splitwise (CSV)',
    container: 'csv',
    fields: {
      time: 'arrived_at',
      promptTokens: 'num_prefill_tokens',
      outputTokens: 'num_decode_tokens',
    },
    timeUnit: 's',
  },
  {
    name: 'burstgpt',
    about: 'BurstGPT (CSV); failed requests are left out',
    container: 'csv',
    fields: {
      time: 'Timestamp',
      promptTokens: 'Request tokens',
      outputTokens: 'Response tokens',
    },
    timeUnit: 's',
    skipsEmpty: true,
  },
  {
    name: 'requests-csv',
    about: 'rows of `--save-requests FILE.csv`',
    container: 'csv',
    fields: {
      time: 'arrival_ms',
      promptTokens: 'prompt_tokens',
      outputTokens: 'output_tokens',
      id: 'request_id',
      lora: 'lora',
    },
    timeUnit: 'ms',
  },
  {
    name: 'mooncake',
    about: 'Mooncake traces with block hashes (JSONL)',
    container: 'jsonl',
    fields: {
      time: 'timestamp',
      promptTokens: 'input_length',
      outputTokens: 'output_length',
      hashIds: 'hash_ids',
      lora: 'lora',
    },
    timeUnit: 'ms',
  },
  {
    // The fields of Mooncake's: it has to be asked for by name.
    name: 'vllm-timed',
    about: "timed traces of vLLM's bench, in seconds (JSONL; --trace-block-size 16)",
    container: 'jsonl',
    fields: {
      time: 'timestamp',
      promptTokens: 'input_length',
      outputTokens: 'output_length',
      hashIds: 'hash_ids',
      lora: 'lora',
    },
    timeUnit: 's',
  },
  {
    name: 'llmservingsim',
    about: 'data sets of the original LLMServingSim (JSONL)',
    container: 'jsonl',
    fields: { time: 'arrival_time_ns', promptTokens: 'input_toks', outputTokens: 'output_toks' },
    timeUnit: 'ns',
  },
  {
    name: 'requests',
    about: 'rows of `--save-requests FILE.jsonl`',
    container: 'jsonl',
    fields: {
      time: 'arrival_ms',
      promptTokens: 'prompt_tokens',
      outputTokens: 'output_tokens',
      id: 'request_id',
      lora: 'lora',
    },
    timeUnit: 'ms',
  },
];

/** The format whose fields are all among `names`, whatever their case in a CSV header. */
export function recognise(
  container: TraceFormat['container'],
  names: readonly string[],
): TraceFormat | undefined {
  const fold = (name: string) => (container === 'csv' ? name.toLowerCase() : name);
  const known = new Set(names.map(fold));
  return TRACE_FORMATS.find(
    ({ container: c, fields: { time, promptTokens, outputTokens } }) =>
      c === container && [time, promptTokens, outputTokens].every((name) => known.has(fold(name))),
  );
}
