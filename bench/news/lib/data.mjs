// The data of every system: 3 streams of 10 news each, and an image for each of the news. Follows from its numbers alone.

import { deflateSync } from 'node:zlib';
import { crc32 } from 'node:zlib';

export const STREAMS = ['world', 'sports', 'science'];
const NEWS_PER_STREAM = 10;
const TEXT_BYTES = 2000;
/** Width and height of images in pixels; a file has about 17 KB. */
const IMAGE_SIZE = 76;

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function text(next, length) {
  let words = '';
  while (words.length < length) {
    words += `${Array.from({ length: 2 + Math.floor(next() * 8) }, () => String.fromCharCode(97 + Math.floor(next() * 26))).join('')} `;
  }
  return words.slice(0, length);
}

function chunk(type, content) {
  const named = Buffer.concat([Buffer.from(type), content]);
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(content.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([size, named, sum]);
}

/** A PNG of noise, which no coding makes smaller. Source: https://www.w3.org/TR/png/ */
function image(next) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(IMAGE_SIZE, 0);
  header.writeUInt32BE(IMAGE_SIZE, 4);
  header.set([8, 2], 8); // 8 bits, RGB
  const row = () => [0, ...Array.from({ length: IMAGE_SIZE * 3 }, () => Math.floor(next() * 256))];
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(Array.from({ length: IMAGE_SIZE }, row).flat()))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** @returns {{ stream: string, title: string, text: string, image: Buffer }[]} */
export function news() {
  return STREAMS.flatMap((stream, s) => Array.from({ length: NEWS_PER_STREAM }, (_, i) => {
    const next = random(1000 * s + i);
    return { stream, title: `${stream} ${i}`, text: text(next, TEXT_BYTES), image: image(next) };
  }));
}
