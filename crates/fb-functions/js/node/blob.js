// Blob and File, whole in memory. https://w3c.github.io/FileAPI
const { concat, decode, encode, view } = require('bytes');

let bytesOf;

function pieces(parts, endings) {
  if (parts === undefined) return [];
  if (typeof parts !== 'object' || parts === null || typeof parts[Symbol.iterator] !== 'function') {
    throw Object.assign(new TypeError('The "sources" argument must be a sequence'), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  return [...parts].map((part) => {
    if (part instanceof Blob) return bytesOf(part);
    const bytes = view(part);
    if (bytes !== undefined) return new Uint8Array(bytes);
    const text = `${part}`;
    return encode(endings === 'native' ? text.replace(/\r\n?/g, '\n') : text, 'utf8');
  });
}

class Blob {
  #bytes;
  #type;

  constructor(parts = [], options = {}) {
    this.#bytes = concat(pieces(parts, options?.endings));
    const type = `${options?.type ?? ''}`;
    this.#type = /[^\x20-\x7e]/.test(type) ? '' : type.toLowerCase();
  }
  static {
    bytesOf = (blob) => blob.#bytes;
  }
  get size() {
    return this.#bytes.length;
  }
  get type() {
    return this.#type;
  }
  slice(start = 0, end = this.size, type = '') {
    return new Blob([this.#bytes.slice(start, end)], { type });
  }
  async arrayBuffer() {
    return this.#bytes.slice().buffer;
  }
  async bytes() {
    return this.#bytes.slice();
  }
  async text() {
    return decode(this.#bytes, 'utf8').replace(/^\ufeff/, '');
  }
  stream() {
    const { ReadableStream } = require('web-streams');
    const bytes = this.#bytes;
    return new ReadableStream({
      start(controller) {
        if (bytes.length > 0) controller.enqueue(bytes.slice());
        controller.close();
      },
    });
  }
}

class File extends Blob {
  #name;
  #lastModified;

  constructor(parts, name, options = {}) {
    super(parts, options);
    this.#name = `${name}`;
    this.#lastModified = options?.lastModified ?? Date.now();
  }
  get name() {
    return this.#name;
  }
  get lastModified() {
    return this.#lastModified;
  }
}
for (const type of [Blob, File]) Object.defineProperty(type.prototype, Symbol.toStringTag, { value: type.name, configurable: true });

module.exports = { Blob, File, bytesOf: (blob) => bytesOf(blob) };
