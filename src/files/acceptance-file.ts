/**
 * Recorded acceptance: how many drafts held in each verification of a real server.
 *
 *   a.json    [2, 0, 3, 1]                 one list for all requests
 *             [[2, 0, 3], [1, 1]]          a list per request
 *   a.jsonl   {"accepted": [2, 0, 3]}      a request per line; other fields are left alone
 *             [2, 0, 3]                    the same
 */

import { readFileSync } from 'node:fs';
import { ConfigError } from '../core/errors.js';
import { LineReader, unreadable } from './line-reader.js';

/** More than any engine drafts at once. */
const MOST_ACCEPTED = 255;

/**
 * Accepted drafts of each verification, a list per request.
 *
 * @param field where the user named the file, for errors
 * @throws {ConfigError} naming file, line, field, expected and got
 */
export function readAcceptance(path: string, field: string): number[][] {
  const lists = path.endsWith('.jsonl') ? fromLines(path, field) : fromJson(path, field);
  if (lists.length > 0) return lists;
  throw new ConfigError(path, 'accepted drafts of at least one verification', 'none');
}

function fromLines(path: string, field: string): number[][] {
  const reader = new LineReader(path, field);
  const lists: number[][] = [];
  try {
    for (let line = reader.next(); line !== undefined; line = reader.next()) {
      if (line.trim() === '') continue;
      const at = `${path}:${reader.lineNumber}`;
      const data = parse(line, at);
      if (Array.isArray(data)) lists.push(countsOf(data, at, ''));
      else lists.push(countsOf(acceptedOf(data, at), at, 'accepted'));
    }
  } finally {
    reader.close();
  }
  return lists;
}

function acceptedOf(data: unknown, at: string): unknown {
  if (typeof data === 'object' && data !== null && 'accepted' in data) return data.accepted;
  throw new ConfigError(`${at}: accepted`, 'a list of accepted drafts', data);
}

function fromJson(path: string, field: string): number[][] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw unreadable(field, path, cause);
  }
  const data = parse(text, path);
  const lists = Array.isArray(data) && data.some(Array.isArray) ? data : [data];
  if (Array.isArray(data) && data.length === 0) return [];
  return lists.map((list, i) => countsOf(list, path, lists === data ? `[${i}]` : ''));
}

function parse(text: string, at: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(at, 'JSON', (cause as Error).message);
  }
}

function countsOf(data: unknown, at: string, name: string): number[] {
  const place = name === '' ? at : `${at}: ${name}`;
  if (!Array.isArray(data) || data.length === 0) {
    throw new ConfigError(place, 'a list of accepted drafts', data);
  }
  return data.map((count: unknown, i) => {
    if (Number.isInteger(count) && (count as number) >= 0 && (count as number) <= MOST_ACCEPTED) {
      return count as number;
    }
    const expected = `a whole number from 0 to ${MOST_ACCEPTED}`;
    throw new ConfigError(`${at}: ${name}[${i}]`, expected, count);
  });
}
