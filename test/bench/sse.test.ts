import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SseParser } from '../../src/bench/sse.js';

function eventsOf(pieces: readonly Buffer[]): string[] {
  const events: string[] = [];
  const parser = new SseParser((data) => events.push(data));
  for (const piece of pieces) parser.push(piece);
  parser.end();
  return events;
}

const whole = (text: string) => eventsOf([Buffer.from(text)]);

describe('SseParser', () => {
  it('delivers data, with and without the space', () => {
    expect(whole('data: {"a":1}\n\ndata:{"b":2}\n\ndata:  two\n\n')).toEqual([
      '{"a":1}',
      '{"b":2}',
      ' two',
    ]);
  });

  it('skips comments and other fields, and joins lines of one event', () => {
    expect(whole(': ping\n\nevent: x\nid: 7\ndata: a\ndata: b\nretry: 5\n\n\n\n')).toEqual([
      'a\nb',
    ]);
  });

  it('takes CRLF and CR for line ends', () => {
    expect(whole('data: a\r\n\r\ndata: b\r\rdata: c\n\n')).toEqual(['a', 'b', 'c']);
  });

  it('delivers an event that the end cut off from its blank line', () => {
    expect(whole('data: a\n\ndata: [DONE]')).toEqual(['a', '[DONE]']);
    expect(whole('data: a\n\ndata: b\n')).toEqual(['a', 'b']);
  });

  it('gives the same events however the bytes are cut', () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }).map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
      fc.constantFrom('data: {"text":"wörld 🦙 漢字"}', ': ping', 'event: token', 'data', ''),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(line, fc.constantFrom('\n', '\r\n', '\r')), { maxLength: 12 }),
        fc.array(fc.nat(400), { maxLength: 30 }),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map(([text, end]) => text + end).join(''));
          const places = [
            ...new Set([0, ...cuts.map((c) => c % (bytes.length + 1)), bytes.length]),
          ];
          places.sort((a, b) => a - b);
          const pieces = places.slice(1).map((to, i) => bytes.subarray(places[i], to));
          expect(eventsOf(pieces)).toEqual(eventsOf([bytes]));
        },
      ),
    );
  });

  it('survives a cut after every byte', () => {
    const bytes = Buffer.from('data: {"t":"é漢🦙"}\r\n\r\n: x\r\ndata: [DONE]\r\n\r\n');
    expect(eventsOf([...bytes].map((byte) => Buffer.of(byte)))).toEqual([
      '{"t":"é漢🦙"}',
      '[DONE]',
    ]);
  });
});
