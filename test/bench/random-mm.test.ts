import { crc32, inflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noisePng } from '../../src/bench/datasets/png.js';
import {
  bucketsOf,
  mediaOf,
  mostImagesOf,
  RANDOM_MM,
  type RandomMedia,
} from '../../src/bench/datasets/random-mm.js';
import { cli } from '../cli/run-cli.js';
import { chat, type DoubleServer, startDouble } from '../support/protocol-doubles.js';

interface Chunk {
  readonly kind: string;
  readonly data: Buffer;
}

/** The chunks of a PNG, each held against its check sum. */
function chunksOf(png: Buffer): Chunk[] {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n');
  const chunks: Chunk[] = [];
  for (let at = 8; at < png.length; ) {
    const end = at + 8 + png.readUInt32BE(at);
    expect(png.readUInt32BE(end)).toBe(crc32(png.subarray(at + 4, end)));
    chunks.push({ kind: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, end) });
    at = end + 4;
  }
  return chunks;
}

const sizeOf = (png: Buffer) => [png.readUInt32BE(16), png.readUInt32BE(20)];

describe('noisePng', () => {
  it('is a picture of its size with noise in it', () => {
    const chunks = chunksOf(noisePng(31, 17, 5));
    expect(chunks.map(({ kind }) => kind)).toEqual(['IHDR', 'PLTE', 'IDAT', 'IEND']);
    expect([...chunks[0]!.data]).toEqual([0, 0, 0, 31, 0, 0, 0, 17, 8, 3, 0, 0, 0]);
    const rows = inflateSync(chunks[2]!.data);
    expect(rows.length).toBe(17 * 32);
    expect(new Set(rows).size).toBeGreaterThan(150);
    for (let row = 0; row < 17; row++) expect(rows[row * 32]).toBe(0);
  });

  it('is a function of its seed', () => {
    expect(noisePng(8, 8, 1).equals(noisePng(8, 8, 1))).toBe(true);
    expect(noisePng(8, 8, 1).equals(noisePng(8, 8, 2))).toBe(false);
  });
});

const MEDIA: RandomMedia = {
  itemsPerRequest: 2,
  rangeRatio: 0.5,
  mostImages: 255,
  buckets: bucketsOf('{(8, 4, 1): 0.75, (2, 2, 1): 0.25}'),
};

const picturesOf = (media: RandomMedia, index: number) =>
  mediaOf(media, 0, index).map((part) => {
    const { url } = part.image_url as { url: string };
    expect(url.startsWith('data:image/png;base64,')).toBe(true);
    return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
  });

describe('random-mm', () => {
  it('draws numbers and sizes as it is told', () => {
    const drawn = Array.from({ length: 300 }, (_, i) => picturesOf(MEDIA, i));
    const counts = drawn.map(({ length }) => length);
    expect(new Set(counts)).toEqual(new Set([1, 2, 3]));
    const sizes = drawn.flat().map((png) => sizeOf(png).join('×'));
    expect(new Set(sizes)).toEqual(new Set(['4×8', '2×2']));
    const tall = sizes.filter((size) => size === '4×8').length / sizes.length;
    expect(tall).toBeGreaterThan(0.68);
    expect(tall).toBeLessThan(0.82);
  });

  it('stays below the limit of a prompt', () => {
    const limited = { ...MEDIA, mostImages: 1 };
    for (let i = 0; i < 20; i++) expect(picturesOf(limited, i)).toHaveLength(1);
  });

  it("reads vLLM's flags", () => {
    expect(bucketsOf(RANDOM_MM.buckets)).toEqual([
      { height: 256, width: 256, frames: 1, weight: 0.5 },
      { height: 720, width: 1280, frames: 1, weight: 0.5 },
      { height: 720, width: 1280, frames: 16, weight: 0 },
    ]);
    expect(mostImagesOf(RANDOM_MM.limits)).toBe(255);
    for (const text of ['', '{}', '(1,2):3', '{(0, 1, 1): 1}', '{(1, 1, 1): x}']) {
      expect(() => bucketsOf(text)).toThrow('--random-mm-bucket-config');
    }
    for (const text of ['4', '{"image": 1.5}', '{"images": 4}', '{']) {
      expect(() => mostImagesOf(text)).toThrow('--random-mm-limit-mm-per-prompt');
    }
  });
});

describe('bench --dataset-name random-mm', () => {
  let server: DoubleServer;
  beforeAll(async () => {
    server = await startDouble(chat);
  });
  afterAll(() => server.close());

  const bench = (words: readonly string[]) =>
    cli([
      ...['bench', '--base-url', server.url, '--model', 'm', '--dataset-name', 'random-mm'],
      ...['--num-prompts', '3', '--random-input-len', '8', '--disable-tqdm', ...words],
    ]);

  it('sends text and pictures in one message', async () => {
    const { code } = await bench([
      ...['--backend', 'openai-chat', '--random-mm-base-items-per-request', '2'],
      ...['--random-mm-bucket-config', '{(6, 9, 1): 1.0}'],
    ]);
    expect(code).toBe(0);
    expect(server.bodies).toHaveLength(3);
    for (const body of server.bodies) {
      const [{ content }] = (body as { messages: { content: Record<string, unknown>[] }[] })
        .messages as [{ content: Record<string, unknown>[] }];
      expect(content.map(({ type }) => type)).toEqual(['text', 'image_url', 'image_url']);
    }
    expect(new Set(server.bodies.map((body) => JSON.stringify(body))).size).toBe(3);
  });

  it.each([
    [['--backend', 'vllm'], '--backend: expected openai-chat for pictures'],
    [
      ['--backend', 'openai-chat', '--random-mm-bucket-config', '{(6, 9, 4): 1.0}'],
      'videos are not made',
    ],
    [
      ['--backend', 'openai-chat', '--random-mm-num-mm-items-range-ratio', '2'],
      '--random-mm-num-mm-items-range-ratio: expected a number from 0 to 1',
    ],
  ])('refuses %s', async (words, message) => {
    const { code, err } = await bench(words);
    expect(code).toBe(1);
    expect(err).toContain(message);
  });
});
