// Text and bytes in Node's encodings, for what needs no Buffer.
const { typeError } = require('errors');

const NAMES = new Map([
  ['utf8', 'utf8'],
  ['utf-8', 'utf8'],
  ['ucs2', 'utf16le'],
  ['ucs-2', 'utf16le'],
  ['utf16le', 'utf16le'],
  ['utf-16le', 'utf16le'],
  ['latin1', 'latin1'],
  ['binary', 'latin1'],
  ['base64', 'base64'],
  ['base64url', 'base64url'],
  ['hex', 'hex'],
  ['ascii', 'ascii'],
]);
const { toBase64, toHex } = Uint8Array.prototype;
const CHUNK = 8192;
const NATIVE_FROM = 64;

// The one name of an encoding, or undefined.
exports.normalize = (name) => NAMES.get(name) ?? (typeof name === 'string' ? NAMES.get(name.toLowerCase()) : undefined);

exports.encodingOf = function (name) {
  if (name === undefined || name === null || name === '') return 'utf8';
  const known = exports.normalize(name);
  if (known === undefined) throw typeError('ERR_UNKNOWN_ENCODING', `Unknown encoding: ${String(name)}`);
  return known;
};

function fromUnits(units) {
  let text = '';
  for (let i = 0; i < units.length; i += CHUNK) text += String.fromCharCode.apply(null, units.subarray(i, i + CHUNK));
  return text;
}

function encodeLatin1(text) {
  if (text.length > NATIVE_FROM && text.isWellFormed()) return native.latin1Encode(text);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function encodeUtf16(text) {
  const bytes = new Uint8Array(text.length * 2);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[i * 2] = unit;
    bytes[i * 2 + 1] = unit >> 8;
  }
  return bytes;
}

// A new Uint8Array.
exports.encode = function (text, encoding) {
  switch (encoding) {
    case 'utf8':
      return native.utf8Encode(text.toWellFormed());
    case 'utf16le':
      return encodeUtf16(text);
    case 'latin1':
    case 'ascii':
      return encodeLatin1(text);
    case 'hex':
      return native.hexDecode(text.toWellFormed());
    default:
      return native.base64Decode(text.toWellFormed());
  }
};

exports.decode = function (bytes, encoding) {
  switch (encoding) {
    case 'utf8':
      return native.utf8Decode(bytes, false);
    case 'utf16le': {
      const even = bytes.subarray(0, bytes.length & ~1);
      const aligned = even.byteOffset % 2 === 0 ? even : new Uint8Array(even);
      return fromUnits(new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2));
    }
    case 'latin1':
      return bytes.length > NATIVE_FROM ? native.latin1Decode(bytes) : fromUnits(bytes);
    case 'ascii':
      return fromUnits(new Uint8Array(bytes).map((byte) => byte & 127));
    case 'hex':
      return toHex.call(bytes);
    case 'base64url':
      return toBase64.call(bytes, { alphabet: 'base64url', omitPadding: true });
    default:
      return toBase64.call(bytes);
  }
};

// A Uint8Array on the memory of any view or ArrayBuffer; undefined for anything else.
exports.view = function (value) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer)) {
    return new Uint8Array(value);
  }
  return undefined;
};

exports.concat = function (pieces) {
  if (pieces.length === 1) return pieces[0];
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
};
