// A PNG without a library. Source: https://www.w3.org/TR/png/

import { crc32, deflateSync } from 'node:zlib';

function chunk(type, content) {
  const named = Buffer.concat([Buffer.from(type), content]);
  const size = Buffer.alloc(4);
  size.writeUInt32BE(content.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([size, named, sum]);
}

/** A picture of this size in pixels, with a gradient. */
export function png(width, height) {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // 8 bits, RGB
  const rows = Array.from({ length: height }, (_, y) => Buffer.from([
    0, ...Array.from({ length: width }, (__, x) => [(255 * x) / width, (255 * y) / height, 128]).flat(),
  ]));
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
