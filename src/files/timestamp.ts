/** Times as traces write them, exact to the nanosecond: whole seconds and the rest. */

import { NS_PER_MS, NS_PER_S } from '../core/units.js';

export interface Timestamp {
  readonly seconds: number;
  readonly ns: number;
}

const DATE =
  /^\s*(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d:?\d\d)?\s*$/;

/** `2023-11-16 18:15:46.6805900`, `2024-05-10T00:00:00.009930+00:00`: UTC unless a zone is given. */
export function parseDate(value: unknown): Timestamp | undefined {
  if (typeof value !== 'string') return undefined;
  const match = DATE.exec(value);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) {
    return undefined;
  }
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  return {
    seconds: ms / 1000 - zoneSeconds(match[8]),
    ns: Number((match[7] ?? '').padEnd(9, '0')),
  };
}

function zoneSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const sign = zone[0] === '-' ? -1 : 1;
  return sign * (Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(-2)) * 60);
}

const NS_PER = { s: NS_PER_S, ms: NS_PER_MS, ns: 1 } as const;

/** A number of `unit`, as text or as a number, not negative. */
export function parseNumberOf(unit: keyof typeof NS_PER, value: unknown): Timestamp | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) return undefined;
  const perSecond = NS_PER_S / NS_PER[unit];
  const seconds = Math.floor(number / perSecond);
  return { seconds, ns: Math.round((number - seconds * perSecond) * NS_PER[unit]) };
}
