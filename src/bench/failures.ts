/**
 * What went wrong with a request, as a class that can be counted and one sentence for a person.
 *
 * A failed request never ends a run. API keys are cut out of everything a server says.
 */

export interface Failure {
  /** `refused`, `timeout`, `http_429`, `cut`, ... */
  readonly kind: string;
  readonly message: string;
}

export interface FailureClass {
  readonly kind: string;
  readonly count: number;
  /** The first one, in words. */
  readonly example: string;
}

export const failureLine = ({ kind, count, example }: FailureClass): string =>
  `Failed (${kind}): ${count}. For example: ${example}`;

/** Failures by class; the most frequent first. */
export class FailureCounts {
  readonly #kinds = new Map<string, FailureClass>();

  add({ kind, message }: Failure): void {
    const { count, example } = this.#kinds.get(kind) ?? { count: 0, example: message };
    this.#kinds.set(kind, { kind, count: count + 1, example });
  }

  classes(): FailureClass[] {
    return [...this.#kinds.values()].sort((a, b) => b.count - a.count);
  }
}

const CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ECONNABORTED: 'reset',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'unknown_host',
  EAI_AGAIN: 'unknown_host',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EMFILE: 'too_many_files',
  EADDRNOTAVAIL: 'no_free_port',
};

const HINTS: Readonly<Record<string, string>> = {
  refused: 'nothing listens there: check --base-url and that the server runs',
  reset: 'the server closed the connection',
  unknown_host: 'the host name is not known: check --base-url',
  unreachable: 'no route to the host',
  tls: 'the certificate or protocol was not accepted; --insecure skips the check',
  too_many_files: 'raise the limit on open files (ulimit -n) or lower --max-concurrency',
  no_free_port: 'all local ports are in use; lower the rate',
};

/** The failure a socket or TLS error amounts to. */
export function failureOf(error: unknown): Failure {
  const { code = '', message = String(error) } = error as NodeJS.ErrnoException;
  const kind = CODES[code] ?? (isTls(code, message) ? 'tls' : 'connection');
  const hint = HINTS[kind];
  return { kind, message: hint ? `${message}: ${hint}` : message };
}

const isTls = (code: string, message: string): boolean =>
  /CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_VERIFY|EPROTO/.test(code) ||
  /wrong version number/i.test(message);

const LONGEST_MESSAGE = 500;

/** A status other than 200: what the body says, or the reason phrase. */
export function httpFailure(status: number, reason: string, body: string): Failure {
  const said = messageOf(body) ?? (body.trim() || reason);
  return { kind: `http_${status}`, message: `${status} ${said}`.slice(0, LONGEST_MESSAGE) };
}

/** The message in an error body of OpenAI, vLLM, TGI and others. */
export function messageOf(body: string): string | undefined {
  try {
    const { error, message, detail } = JSON.parse(body) as Readonly<Record<string, unknown>>;
    const found =
      error !== null && typeof error === 'object'
        ? (error as { message?: unknown }).message
        : error;
    const text = found ?? message ?? detail;
    return text === undefined ? undefined : typeof text === 'string' ? text : JSON.stringify(text);
  } catch {
    return undefined;
  }
}

/** Takes secrets out of a text that is printed or stored. */
export function redacted(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text);
}
