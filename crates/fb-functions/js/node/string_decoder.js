// Text from pieces of bytes that may end within a character.
const { invalidArgType } = require('errors');
const { decode, encodingOf, view } = require('bytes');

class StringDecoder {
  #rest = new Uint8Array(0);

  constructor(encoding) {
    this.encoding = encodingOf(encoding);
  }

  write(chunk) {
    if (typeof chunk === 'string') return chunk;
    const bytes = view(chunk);
    if (bytes === undefined) throw invalidArgType('buf', 'an instance of Buffer, TypedArray, or DataView', chunk);
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    } else if (bytes.constructor !== Uint8Array) {
      all = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    const whole = all.length - incomplete(all, this.encoding);
    this.#rest = all.slice(whole);
    return whole === 0 ? '' : decode(all.subarray(0, whole), this.encoding);
  }

  end(chunk) {
    const text = chunk === undefined ? '' : this.write(chunk);
    const rest = this.#rest;
    this.#rest = new Uint8Array(0);
    if (rest.length === 0) return text;
    return text + decode(rest, this.encoding);
  }

  text(chunk, offset) {
    this.#rest = new Uint8Array(0);
    return this.write(view(chunk).subarray(offset));
  }

  get lastNeed() {
    return this.#rest.length;
  }
}

// How many bytes at the end belong to something that is not complete.
function incomplete(bytes, encoding) {
  const n = bytes.length;
  if (encoding === 'utf16le') {
    const odd = n % 2;
    // The first half of a pair waits for the second.
    return odd === 0 && n >= 2 && (bytes[n - 1] & 0xfc) === 0xd8 ? 2 : odd;
  }
  if (encoding === 'base64' || encoding === 'base64url') return n % 3;
  if (encoding !== 'utf8') return 0;
  for (let back = 1; back <= Math.min(3, n); back++) {
    const byte = bytes[n - back];
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 && byte < 0xf5 ? 4 : byte >= 0xe0 ? (byte < 0xf0 ? 3 : 0) : byte >= 0xc2 ? 2 : 1;
    return length > back && begins(bytes.subarray(n - back)) ? back : 0;
  }
  return 0;
}

// Whether bytes can be the beginning of a character.
function begins([first, second]) {
  if (second === undefined) return true;
  if (first === 0xe0) return second >= 0xa0;
  if (first === 0xed) return second < 0xa0;
  if (first === 0xf0) return second >= 0x90;
  if (first === 0xf4) return second < 0x90;
  return true;
}

module.exports = { StringDecoder };
