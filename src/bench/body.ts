/**
 * Bodies as bytes: backend fields, then the user's extra fields, then those of the request; JSON, or a
 * multipart form where a file goes with them.
 */

import type { Backend, BodySettings } from './backends/backend.js';
import type { BenchRequest } from './request.js';

export interface EncodedBody {
  readonly contentType: string;
  readonly bytes: string | Uint8Array;
}

/** Fields some servers refuse: left out, or spelled otherwise, once a server has said so. */
const MENDABLE: Readonly<Record<string, string | undefined>> = {
  max_completion_tokens: 'max_tokens',
  max_tokens: 'max_completion_tokens',
  ignore_eos: undefined,
  repetition_penalty: undefined,
  top_k: undefined,
  min_p: undefined,
  min_tokens: undefined,
  stream_options: undefined,
  seed: undefined,
};

export class BodyEncoder {
  readonly #backend: Backend;
  readonly #settings: BodySettings;
  readonly #extra: Readonly<Record<string, unknown>>;
  /** What a field is called for this server; undefined: left out. */
  readonly #renamed = new Map<string, string | undefined>();

  constructor(
    backend: Backend,
    settings: BodySettings,
    extra: Readonly<Record<string, unknown>> = {},
  ) {
    this.#backend = backend;
    this.#settings = settings;
    this.#extra = extra;
  }

  /** What had to be changed for this server, in words. */
  get changes(): string[] {
    return [...this.#renamed].map(([field, to]) =>
      to === undefined ? `${field} left out` : `${field} sent as ${to}`,
    );
  }

  encode(request: BenchRequest): EncodedBody {
    const { fields, file } = this.#backend.body(request, this.#settings);
    const all = { ...fields, ...this.#extra, ...request.overrides };
    for (const [field, to] of this.#renamed) {
      if (!(field in all)) continue;
      if (to !== undefined) all[to] = all[field];
      delete all[field];
    }
    if (file) return multipart(all, file);
    return { contentType: 'application/json', bytes: JSON.stringify(all) };
  }

  /** Whether a refusal names a field that can be left out or spelled otherwise; from then on it is. */
  mend(status: number, message: string, sent: EncodedBody): boolean {
    if (status !== 400 && status !== 422) return false;
    for (const [field, to] of Object.entries(MENDABLE)) {
      if (!new RegExp(`\\b${field}\\b`).test(message)) continue;
      if (typeof sent.bytes !== 'string' || !sent.bytes.includes(`"${field}":`)) continue;
      // "Use max_completion_tokens instead" names both; the one that was sent is the wrong one.
      if (this.#extra[field] !== undefined) return false;
      this.#renamed.set(field, to);
      if (to !== undefined) this.#renamed.delete(to);
      return true;
    }
    // Another request of the same moment has mended it already.
    return [...this.#renamed.keys()].some(
      (field) => message.includes(field) && String(sent.bytes).includes(`"${field}":`),
    );
  }
}

const BOUNDARY = 'llmservingsim-form-5f1c2d8e';

function multipart(
  fields: Readonly<Record<string, unknown>>,
  file: { readonly bytes: Uint8Array; readonly name: string },
): EncodedBody {
  const parts = Object.entries(fields).map(
    ([name, value]) =>
      `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${String(value)}\r\n`,
  );
  const head = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="${file.name}"\r\ncontent-type: audio/wav\r\n\r\n`;
  return {
    contentType: `multipart/form-data; boundary=${BOUNDARY}`,
    bytes: Buffer.concat([
      Buffer.from(parts.join('') + head),
      file.bytes,
      Buffer.from(`\r\n--${BOUNDARY}--\r\n`),
    ]),
  };
}
