// TextEncoder and TextDecoder. https://encoding.spec.whatwg.org
const { decode, encode, view } = require('bytes');
const { invalidArgType, rangeError, typeError } = require('errors');

class TextEncoder {
  get encoding() {
    return 'utf-8';
  }
  encode(text = '') {
    return encode(`${text}`, 'utf8');
  }
  encodeInto(text, target) {
    const whole = `${text}`;
    let bytes = encode(whole, 'utf8');
    if (bytes.length > target.length) {
      let n = target.length;
      while (n > 0 && (bytes[n] & 0xc0) === 0x80) n--;
      bytes = bytes.subarray(0, n);
    }
    target.set(bytes);
    return { read: decode(bytes, 'utf8').length, written: bytes.length };
  }
}

const LABELS = new Map([
  ['utf-8', 'utf-8'],
  ['utf8', 'utf-8'],
  ['unicode-1-1-utf-8', 'utf-8'],
  ['utf-16le', 'utf-16le'],
  ['utf-16', 'utf-16le'],
  ['ucs-2', 'utf-16le'],
  ['unicode', 'utf-16le'],
  ['latin1', 'windows-1252'],
  ['iso-8859-1', 'windows-1252'],
  ['ascii', 'windows-1252'],
  ['us-ascii', 'windows-1252'],
  ['windows-1252', 'windows-1252'],
]);
// 0x80 to 0x9f of windows-1252.
const UPPER = '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #decoder = null;
  #isFirst = true;

  constructor(label = 'utf-8', options = undefined) {
    this.#encoding = LABELS.get(`${label}`.trim().toLowerCase());
    if (this.#encoding === undefined) throw rangeError('ERR_ENCODING_NOT_SUPPORTED', `The "${label}" encoding is not supported`);
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }
  get encoding() {
    return this.#encoding;
  }
  get fatal() {
    return this.#fatal;
  }
  get ignoreBOM() {
    return this.#ignoreBOM;
  }
  decode(input, options = undefined) {
    const bytes = input === undefined ? new Uint8Array(0) : view(input);
    if (bytes === undefined) throw invalidArgType('list', 'an instance of SharedArrayBuffer, ArrayBuffer or ArrayBufferView', input);
    const isStream = Boolean(options?.stream);
    let text;
    if (this.#encoding === 'windows-1252') {
      text = decode(bytes, 'latin1').replace(/[\x80-\x9f]/g, (c) => UPPER[c.charCodeAt(0) - 0x80]);
    } else if (!isStream && this.#decoder === null) {
      text = this.#whole(bytes);
    } else {
      text = this.#piece(bytes, isStream);
    }
    if (this.#isFirst && !this.#ignoreBOM && this.#encoding !== 'windows-1252' && text.startsWith('\ufeff')) text = text.slice(1);
    this.#isFirst = !isStream || (this.#isFirst && text === '');
    return text;
  }
  #whole(bytes) {
    if (this.#encoding === 'utf-16le') {
      const text = decode(bytes, 'utf16le');
      if (this.#fatal && (bytes.length % 2 === 1 || !text.isWellFormed())) throw this.#invalid();
      return text.toWellFormed() + (bytes.length % 2 === 1 ? '\ufffd' : '');
    }
    if (!this.#fatal) return decode(bytes, 'utf8');
    try {
      return native.utf8Decode(bytes, true);
    } catch (error) {
      throw error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? this.#invalid() : error;
    }
  }
  #piece(bytes, isStream) {
    const { StringDecoder } = require('string_decoder');
    this.#decoder ??= new StringDecoder(this.#encoding === 'utf-8' ? 'utf8' : 'utf16le');
    const text = isStream ? this.#decoder.write(bytes) : this.#decoder.end(bytes);
    if (!isStream) this.#decoder = null;
    // Text that was sent as U+FFFD cannot be told from what could not be read; it is rare enough in what must be valid.
    if (this.#fatal && text.includes('\ufffd')) throw this.#invalid();
    return text.toWellFormed();
  }
  #invalid() {
    return typeError('ERR_ENCODING_INVALID_ENCODED_DATA', `The encoded data was not valid for encoding ${this.#encoding}`);
  }
}

for (const type of [TextEncoder, TextDecoder]) {
  Object.defineProperty(type.prototype, Symbol.toStringTag, { value: type.name, configurable: true });
}
module.exports = { TextDecoder, TextEncoder };
