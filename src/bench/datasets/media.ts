/** Images and audio of data sets: files as the API takes them, lengths read from WAV headers. */

import { readFileSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { ConfigError } from '../../core/errors.js';
import { unreadable } from '../../files/line-reader.js';
import type { AudioFile, MediaPart } from '../request.js';

const IMAGE_TYPES: Readonly<Record<string, string>> = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
};

/** An image as a part of a chat message: addresses stay, files (next to the data set) become data URLs. */
export function imagePart(image: string, datasetPath: string): MediaPart {
  if (/^(https?|data):/.test(image)) return { type: 'image_url', image_url: { url: image } };
  const type = IMAGE_TYPES[extname(image).toLowerCase()];
  if (!type) throw new ConfigError(datasetPath, Object.keys(IMAGE_TYPES).join(', '), image);
  const bytes = readBytes(resolve(dirname(datasetPath), image));
  return {
    type: 'image_url',
    image_url: { url: `data:${type};base64,${bytes.toString('base64')}` },
  };
}

export function audioFile(path: string, datasetPath: string): AudioFile {
  const bytes = readBytes(resolve(dirname(datasetPath), path));
  return { bytes, name: basename(path), seconds: wavSeconds(bytes, path) };
}

/**
 * Length of a WAV file: bytes of its samples over bytes per second, both from the header.
 *
 * @throws {ConfigError} when it is none
 */
export function wavSeconds(bytes: Buffer, path: string): number {
  const isWav =
    bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WAVE';
  let bytesPerS = 0;
  for (let at = 12; isWav && at + 8 <= bytes.length; ) {
    const kind = bytes.toString('latin1', at, at + 4);
    const size = bytes.readUInt32LE(at + 4);
    if (kind === 'fmt ') bytesPerS = bytes.readUInt32LE(at + 16);
    if (kind === 'data' && bytesPerS > 0) {
      return Math.min(size, bytes.length - at - 8) / bytesPerS;
    }
    at += 8 + size + (size % 2);
  }
  throw new ConfigError(path, 'a WAV file', bytes.toString('latin1', 0, 4));
}

/** A tone of 440 Hz as 16-bit mono WAV: what is sent when no recording is at hand. */
export function toneWav(seconds: number, sampleRate = 16_000): Buffer {
  const numSamples = Math.round(seconds * sampleRate);
  const wav = Buffer.alloc(44 + 2 * numSamples);
  wav.write('RIFF', 0, 'latin1');
  wav.writeUInt32LE(36 + 2 * numSamples, 4);
  wav.write('WAVEfmt ', 8, 'latin1');
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(sampleRate, 24);
  wav.writeUInt32LE(2 * sampleRate, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36, 'latin1');
  wav.writeUInt32LE(2 * numSamples, 40);
  for (let i = 0; i < numSamples; i++) {
    wav.writeInt16LE(
      Math.round(8_000 * Math.sin((2 * Math.PI * 440 * i) / sampleRate)),
      44 + 2 * i,
    );
  }
  return wav;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw unreadable('--dataset-path', path, cause);
  }
}
