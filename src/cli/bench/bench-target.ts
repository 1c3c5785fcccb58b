/**
 * Where a benchmark sends its requests: address, protocol, headers, and what of them nobody may see.
 */

import type { Backend } from '../../bench/backends/backend.js';
import { backendNamed } from '../../bench/backends/index.js';
import { baseOf, shownUrl, takeCredentials, urlOf } from '../../bench/endpoint.js';
import { redacted } from '../../bench/failures.js';
import { HttpClient } from '../../bench/http-client.js';
import { ConfigError } from '../../core/errors.js';
import type { Flags, Reader } from '../simulate-flags.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Target {
  readonly backend: Backend;
  readonly base: URL;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly insecure: boolean;
}

/** @throws {ConfigError} */
export function targetOf(given: Reader, flags: Flags, env: Environment): Target {
  const backend = backendNamed(given.text('backend') ?? given.text('endpoint_type') ?? 'openai');
  const base = baseOf({
    baseUrl: given.text('base_url'),
    host: given.text('host'),
    port: given.count('port') ?? backend.port,
  });
  const credentials = takeCredentials(base);
  const url = urlOf(base, given.text('endpoint') ?? backend.path);
  if (backend.ending && !backend.ending.test(url.pathname)) {
    const expected = `a path like ${backend.path} for ${backend.name}`;
    throw new ConfigError('--endpoint', expected, url.pathname);
  }
  const { headers, secrets: keys } = headersOf(flags, given, env, credentials);
  // Some gateways take their key in the query.
  const secrets = [...keys, ...[...url.searchParams.values()].filter(isSecret)];
  return { backend, base, url, headers, secrets, insecure: flags.insecure === true };
}

/** Long enough that cutting it out of texts does no harm. */
const isSecret = (text: string): boolean => text.length > 3;

/** Headers of every request, and those of their values that must not be seen. */
export function headersOf(
  flags: Flags,
  given: Reader,
  env: Environment,
  credentials?: string | undefined,
) {
  const key = given.text('api_key') ?? env.OPENAI_API_KEY;
  const own = Object.entries(pairsOf('--header', flags.header)).map(
    ([name, value]) => [name.toLowerCase(), value] as const,
  );
  const headers: Record<string, string> = {
    ...(key && { authorization: `Bearer ${key}` }),
    ...(credentials && { authorization: credentials }),
    ...Object.fromEntries(own),
  };
  const values = [key, credentials, ...own.map(([, value]) => value)];
  // "Bearer <key>" is one, and so is the key alone.
  const all = values.flatMap((value) => (value ? [value, value.replace(/^\w+ +/, '')] : []));
  const secrets = [...new Set(all)].filter(isSecret);
  return { headers, secrets: secrets.sort((a, b) => b.length - a.length) };
}

/** `KEY=VALUE` pairs. @throws {ConfigError} */
export function pairsOf(flag: string, pairs: Flags[string]): Record<string, string> {
  if (!Array.isArray(pairs)) return {};
  return Object.fromEntries(
    (pairs as string[]).map((pair) => {
      const at = pair.indexOf('=');
      if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
      // What stands there may be a key.
      throw new ConfigError(flag, 'KEY=VALUE', 'a word without =');
    }),
  );
}

/** The first model the server lists. @throws {ConfigError} when it cannot be asked */
export async function firstModel({ base, headers, secrets, insecure }: Target): Promise<string> {
  const client = new HttpClient({ insecure });
  const url = urlOf(base, '/v1/models');
  const parts: Buffer[] = [];
  const { status, failure } = await client.exchange({
    url,
    method: 'GET',
    headers,
    timeoutMs: 30_000,
    onData: (bytes) => void parts.push(bytes),
  });
  client.close();
  try {
    if (status === 200 && !failure) {
      const { data } = JSON.parse(Buffer.concat(parts).toString('utf8')) as {
        data: readonly { id: string }[];
      };
      if (data[0]) return data[0].id;
    }
  } catch {
    // Told below, like every other answer without a model.
  }
  const why = redacted(failure?.message ?? `status ${status}`, secrets);
  throw new ConfigError(
    '--model',
    'a name, or a server that lists its models',
    undefined,
    `${shownUrl(url)}: ${why}`,
  );
}
