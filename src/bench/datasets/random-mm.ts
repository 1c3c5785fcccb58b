/**
 * `random-mm` of `vllm bench serve`: random prompts with random pictures. How many is uniform in
 * [⌊n·(1 − r)⌋, ⌈n·(1 + r)⌉], at most what a prompt may have; the size of each is drawn from buckets
 * `(height, width, frames)` by their weights. One frame is a picture; more are a video, which takes an
 * encoder and is refused.
 */

import { ConfigError } from '../../core/errors.js';
import { Rng } from '../../core/rng.js';
import type { MediaPart } from '../request.js';
import { noisePng } from './png.js';

export interface Bucket {
  readonly height: number;
  readonly width: number;
  readonly frames: number;
  readonly weight: number;
}

export interface RandomMedia {
  readonly itemsPerRequest: number;
  /** r above, in [0, 1]. */
  readonly rangeRatio: number;
  readonly mostImages: number;
  readonly buckets: readonly Bucket[];
}

const BUCKETS_FLAG = '--random-mm-bucket-config';
const LIMIT_FLAG = '--random-mm-limit-mm-per-prompt';

/** vLLM's defaults. */
export const RANDOM_MM = {
  itemsPerRequest: 1,
  rangeRatio: 0,
  limits: '{"image": 255, "video": 1}',
  buckets: '{(256, 256, 1): 0.5, (720, 1280, 1): 0.5, (720, 1280, 16): 0.0}',
} as const;

/** @throws {ConfigError} */
export function checkMedia({
  itemsPerRequest,
  rangeRatio,
  buckets,
  mostImages,
}: RandomMedia): void {
  const check = (ok: boolean, flag: string, expected: string, got: unknown) => {
    if (!ok) throw new ConfigError(flag, expected, got);
  };
  check(
    rangeRatio >= 0 && rangeRatio <= 1,
    '--random-mm-num-mm-items-range-ratio',
    'a number from 0 to 1',
    rangeRatio,
  );
  const video = buckets.find(({ frames, weight }) => frames > 1 && weight > 0);
  check(
    video === undefined,
    BUCKETS_FLAG,
    'pictures (1 frame): videos are not made',
    video?.frames,
  );
  const total = buckets.reduce((sum, { weight }) => sum + weight, 0);
  check(itemsPerRequest === 0 || total > 0, BUCKETS_FLAG, 'a bucket with a weight above 0', total);
  check(mostImages >= 0, LIMIT_FLAG, 'a limit of at least 0', mostImages);
}

/** `{(256, 256, 1): 0.5, ...}`, as Python writes it. @throws {ConfigError} */
export function bucketsOf(text: string): Bucket[] {
  const items = [...text.matchAll(BUCKET)];
  const rest = text.replaceAll(BUCKET, '').replaceAll(/[{}\s,]/g, '');
  const buckets = items.map(([, height, width, frames, weight]) => ({
    height: Number(height),
    width: Number(width),
    frames: Number(frames),
    weight: Number(weight),
  }));
  const ok = buckets.every(
    ({ height, width, frames, weight }) => height > 0 && width > 0 && frames > 0 && weight >= 0,
  );
  if (rest === '' && buckets.length > 0 && ok) return buckets;
  throw new ConfigError(BUCKETS_FLAG, 'sizes and weights like {(256, 256, 1): 1.0}', text);
}

const BUCKET = /["']?\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)["']?\s*:\s*(\d*\.?\d+(?:e-?\d+)?)/gi;

/** Most pictures in a prompt. @throws {ConfigError} */
export function mostImagesOf(text: string): number {
  let limits: unknown;
  try {
    limits = JSON.parse(text);
  } catch {
    // Told below.
  }
  const { image, ...others } = (limits ?? {}) as Record<string, unknown>;
  const unknown = Object.keys(others).some((name) => name !== 'video');
  if (Number.isInteger(image) && !unknown) return image as number;
  throw new ConfigError(LIMIT_FLAG, 'limits like {"image": 4}', text);
}

/** The pictures of request `index`, as parts of a chat message; a function of the seed. */
export function mediaOf(media: RandomMedia, seed: number, index: number): MediaPart[] {
  const { itemsPerRequest: n, rangeRatio: r, mostImages, buckets } = media;
  const chance = new Rng(seed).stream(`random-mm/${index}`);
  const most = Math.min(mostImages, Math.ceil(n * (1 + r)));
  const least = Math.min(most, Math.floor(n * (1 - r)));
  return Array.from({ length: chance.integer(least, most) }, () => {
    const bucket = bucketAt(buckets, chance.next());
    const png = noisePng(bucket.width, bucket.height, chance.integer(1, 2 ** 31 - 1));
    return {
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${png.toString('base64')}` },
    };
  });
}

/** The bucket in which a share of all weights, in [0, 1), ends. */
function bucketAt(buckets: readonly Bucket[], share: number): Bucket {
  let left = share * buckets.reduce((sum, { weight }) => sum + weight, 0);
  let last = buckets[0]!;
  for (const bucket of buckets) {
    if (bucket.weight === 0) continue;
    last = bucket;
    left -= bucket.weight;
    if (left < 0) break;
  }
  return last;
}
