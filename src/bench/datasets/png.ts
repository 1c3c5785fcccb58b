/**
 * Pictures of noise as PNG, made without a library: 256 colours, a random one for each pixel. Noise does
 * not compress, so a picture is a byte per pixel, about what a photograph is as JPEG, and packing it
 * costs next to nothing.
 */

import { crc32, deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Bits per sample; colours by index into a palette. */
const HEADER = [8, 3, 0, 0, 0];

/** @param seed of the noise: equal seeds, equal pictures */
export function noisePng(width: number, height: number, seed: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set(HEADER, 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', PALETTE),
    chunk('IDAT', deflateSync(noiseRows(width, height, seed), { level: 0 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Three bits of red, three of green, two of blue. */
const PALETTE = Buffer.from(
  Array.from({ length: 256 }, (_, i) => [(i >> 5) * 36, ((i >> 2) & 7) * 36, (i & 3) * 85]).flat(),
);

function chunk(kind: string, data: Buffer): Buffer {
  const framed = Buffer.alloc(12 + data.length);
  framed.writeUInt32BE(data.length, 0);
  framed.write(kind, 4, 'latin1');
  framed.set(data, 8);
  framed.writeUInt32BE(crc32(framed.subarray(4, 8 + data.length)), 8 + data.length);
  return framed;
}

/** Rows of pixels, each after a byte that says it is not filtered. The noise is Marsaglia's xorshift32. */
function noiseRows(width: number, height: number, seed: number): Buffer {
  const rows = Buffer.alloc(height * (width + 1));
  let state = (seed | 0) === 0 ? 1 : seed | 0;
  for (let at = 0; at < rows.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    rows[at] = at % (width + 1) === 0 ? 0 : state >>> 24;
  }
  return rows;
}
