/** Where requests go: a base as users write it (with or without /v1, slashes), and a backend's path. */

import { ConfigError } from '../core/errors.js';

export interface TargetOptions {
  readonly baseUrl?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

/** @throws {ConfigError} when it is no http(s) address */
export function baseOf({ baseUrl, host = '127.0.0.1', port = 8000 }: TargetOptions): URL {
  const text = baseUrl ?? `http://${host}:${port}`;
  const whole = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(whole) || !/^https?:$/.test(new URL(whole).protocol)) {
    if (baseUrl === undefined) throw new ConfigError('--port', 'a port up to 65535', port);
    throw new ConfigError('--base-url', 'an address like http://localhost:8000', text);
  }
  return new URL(whole);
}

/** `base` and `path` joined, what both say (`/v1`) once. */
export function urlOf(base: URL, path: string): URL {
  const parts = base.pathname.split('/').filter((part) => part !== '');
  const added = path.split('/').filter((part) => part !== '');
  let shared = Math.min(parts.length, added.length);
  while (shared > 0 && !parts.slice(-shared).every((part, i) => part === added[i])) shared--;
  const url = new URL(base);
  url.pathname = `/${[...parts, ...added.slice(shared)].join('/')}`;
  return url;
}

/** The user and password in an address, as a header; they are taken out of it. */
export function takeCredentials(base: URL): string | undefined {
  const { username, password } = base;
  if (username === '' && password === '') return undefined;
  base.username = '';
  base.password = '';
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(plain).toString('base64')}`;
}

/** An address as it may be shown: keys are given in its query, too. */
export const shownUrl = ({ origin, pathname }: URL): string => origin + pathname;
