// https://nodejs.org/docs/latest-v20.x/api/buffer.html
const { checkInteger, checkString, error, invalidArgType, outOfRange, rangeError, typeError } = require('errors');
const { concat, decode, encode, encodingOf, normalize, view } = require('bytes');

const MAX_LENGTH = 2 ** 32;
const INSPECT_MAX = 50;
const findByte = Uint8Array.prototype.indexOf;
const findLastByte = Uint8Array.prototype.lastIndexOf;
const fillBytes = Uint8Array.prototype.fill;

class FastBuffer extends Uint8Array {}

// Callable without `new`, as it always was.
function Buffer(value, encodingOrOffset, length) {
  if (typeof value === 'number') {
    if (typeof encodingOrOffset === 'string') throw invalidArgType('string', 'of type string', value);
    return Buffer.alloc(value);
  }
  return Buffer.from(value, encodingOrOffset, length);
}

Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
Object.defineProperty(FastBuffer.prototype, 'constructor', { value: Buffer, writable: true, configurable: true });
Object.defineProperty(Buffer, Symbol.species, { get: () => FastBuffer, configurable: true });
// Not assigned to Buffer itself: the properties of intrinsics that it inherits are read-only.
const statics = { __proto__: null, poolSize: 8192 };

const wrap = (bytes) => new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.length);

function checkSize(size, name = 'size') {
  if (typeof size !== 'number') throw invalidArgType(name, 'of type number', size);
  if (!(size >= 0 && size <= MAX_LENGTH)) throw outOfRange(name, `>= 0 && <= ${MAX_LENGTH}`, size);
}

statics.from = function from(value, encodingOrOffset, length) {
  if (typeof value === 'string') return wrap(encode(value, encodingOf(encodingOrOffset)));
  if (typeof value === 'object' && value !== null) {
    if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer)) {
      return fromArrayBuffer(value, encodingOrOffset, length);
    }
    const primitive = value.valueOf?.();
    if (primitive !== null && primitive !== undefined && primitive !== value && (typeof primitive === 'string' || typeof primitive === 'object')) {
      return from(primitive, encodingOrOffset, length);
    }
    const made = fromObject(value);
    if (made !== undefined) return made;
    if (typeof value[Symbol.toPrimitive] === 'function') {
      const text = value[Symbol.toPrimitive]('string');
      if (typeof text === 'string') return from(text, encodingOrOffset);
    }
  }
  throw invalidArgType(
    'first argument',
    'of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object',
    value,
  );
};

function fromArrayBuffer(buffer, offset, length) {
  let start = offset === undefined ? 0 : +offset;
  if (Number.isNaN(start)) start = 0;
  const most = buffer.byteLength - start;
  if (most < 0) throw rangeError('ERR_BUFFER_OUT_OF_BOUNDS', '"offset" is outside of buffer bounds');
  let n = most;
  if (length !== undefined) {
    n = +length;
    n = n > 0 ? n : 0;
    if (n > most) throw rangeError('ERR_BUFFER_OUT_OF_BOUNDS', '"length" is outside of buffer bounds');
  }
  return new FastBuffer(buffer, start, n);
}

function fromObject(value) {
  if (value.length !== undefined) {
    if (typeof value.length !== 'number' || value.length <= 0) return new FastBuffer(0);
    return new FastBuffer(ArrayBuffer.isView(value) || Array.isArray(value) ? value : Array.from(value));
  }
  if (value.type === 'Buffer' && Array.isArray(value.data)) return new FastBuffer(value.data);
  return undefined;
}

statics.alloc = function alloc(size, fill, encoding) {
  checkSize(size);
  const buffer = new FastBuffer(size);
  return fill === undefined || fill === 0 || size === 0 ? buffer : buffer.fill(fill, encoding);
};

statics.allocUnsafe = function allocUnsafe(size) {
  checkSize(size);
  return new FastBuffer(size);
};
statics.allocUnsafeSlow = (size) => Buffer.allocUnsafe(size);

statics.isBuffer = (value) => value instanceof Buffer;
statics.isEncoding = (encoding) => typeof encoding === 'string' && encoding.length > 0 && normalize(encoding) !== undefined;

statics.compare = function compare(a, b) {
  if (!(a instanceof Uint8Array)) throw invalidArgType('buf1', 'an instance of Buffer or Uint8Array', a);
  if (!(b instanceof Uint8Array)) throw invalidArgType('buf2', 'an instance of Buffer or Uint8Array', b);
  return compareBytes(a, b);
};

function compareBytes(a, b) {
  if (a.length > 256 && b.length > 256) return native.compare(a, b);
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  return Math.sign(a.length - b.length);
}

statics.concat = function (list, length) {
  if (!Array.isArray(list)) throw invalidArgType('list', 'an instance of Array', list);
  list.forEach((piece, i) => {
    if (!(piece instanceof Uint8Array)) throw invalidArgType(`list[${i}]`, 'an instance of Buffer or Uint8Array', piece);
  });
  if (length === undefined) return list.length === 1 ? new FastBuffer(list[0]) : list.length === 0 ? new FastBuffer(0) : wrap(concat(list));
  checkInteger(length, 'length', 0);
  const buffer = new FastBuffer(length);
  let at = 0;
  for (const piece of list) {
    if (at >= length) break;
    const part = at + piece.length > length ? piece.subarray(0, length - at) : piece;
    buffer.set(part, at);
    at += part.length;
  }
  return buffer;
};

statics.copyBytesFrom = function (source, offset = 0, length = source.length - offset) {
  return new FastBuffer(view(source.slice(offset, offset + length)));
};

statics.byteLength = function byteLength(value, encoding) {
  if (typeof value !== 'string') {
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw invalidArgType('string', 'of type string or an instance of Buffer or ArrayBuffer', value);
  }
  switch (normalize(encoding)) {
    case 'latin1':
    case 'ascii':
      return value.length;
    case 'utf16le':
      return value.length * 2;
    case 'hex':
      return value.length >>> 1;
    case 'base64':
    case 'base64url': {
      let n = value.length;
      if (value.endsWith('=')) n -= value.endsWith('==') ? 2 : 1;
      return (n * 3) >>> 2;
    }
    default:
      return native.utf8Length(value.toWellFormed());
  }
};

const clampIndex = (index, length) => {
  let at = Math.trunc(+index) || 0;
  if (at < 0) at += length;
  return at < 0 ? 0 : Math.min(at, length);
};

function search(buffer, value, byteOffset, encoding, isForward) {
  if (typeof byteOffset === 'string') {
    encoding = byteOffset;
    byteOffset = undefined;
  }
  let at = +byteOffset;
  if (Number.isNaN(at)) at = isForward ? 0 : buffer.length;
  at = Math.trunc(Math.max(-(2 ** 31), Math.min(at, 2 ** 31)));
  if (at < 0) at += buffer.length;
  if (typeof value === 'number') {
    if (at < 0) return isForward ? findByte.call(buffer, value & 255, 0) : -1;
    return isForward ? findByte.call(buffer, value & 255, at) : findLastByte.call(buffer, value & 255, at);
  }
  let name = 'utf8';
  let needle = value;
  if (typeof value === 'string') {
    name = encodingOf(encoding);
    needle = encode(value, name);
  } else if (!(value instanceof Uint8Array)) {
    throw invalidArgType('value', 'one of type number or string or an instance of Buffer or Uint8Array', value);
  } else if (encoding !== undefined) {
    name = normalize(encoding) ?? 'utf8';
  }
  if (at < 0) {
    if (!isForward) return -1;
    at = 0;
  }
  if (needle.length === 0) return Math.min(at, buffer.length);
  const last = buffer.length - needle.length;
  const step = name === 'utf16le' ? 2 : 1;
  const matches = (i) => {
    if (i % step !== 0) return false;
    for (let k = 1; k < needle.length; k++) if (buffer[i + k] !== needle[k]) return false;
    return true;
  };
  if (isForward) {
    for (let i = findByte.call(buffer, needle[0], at); i >= 0 && i <= last; i = findByte.call(buffer, needle[0], i + 1)) {
      if (matches(i)) return i;
    }
  } else {
    if (last < 0) return -1;
    for (let i = findLastByte.call(buffer, needle[0], Math.min(at, last)); i >= 0; i = i === 0 ? -1 : findLastByte.call(buffer, needle[0], i - 1)) {
      if (matches(i)) return i;
    }
  }
  return -1;
}

function swap(buffer, size) {
  if (buffer.length % size !== 0) throw rangeError('ERR_INVALID_BUFFER_SIZE', `Buffer size must be a multiple of ${size * 8}-bits`);
  for (let i = 0; i < buffer.length; i += size) Uint8Array.prototype.reverse.call(buffer.subarray(i, i + size));
  return buffer;
}

for (const name of Object.keys(statics)) {
  Object.defineProperty(Buffer, name, { value: statics[name], writable: true, enumerable: true, configurable: true });
}

const methods = {
  toString(encoding, start, end) {
    if (arguments.length === 0) return decode(this, 'utf8');
    const from = start === undefined || start <= 0 ? 0 : Math.trunc(start) || 0;
    const to = end === undefined || end > this.length ? this.length : Math.trunc(end) || 0;
    const name = encodingOf(encoding);
    return to <= from ? '' : decode(from === 0 && to === this.length ? this : this.subarray(from, to), name);
  },
  toJSON() {
    return { type: 'Buffer', data: Array.from(this) };
  },
  equals(other) {
    if (!(other instanceof Uint8Array)) throw invalidArgType('otherBuffer', 'an instance of Buffer or Uint8Array', other);
    return this === other || (this.length === other.length && compareBytes(this, other) === 0);
  },
  compare(target, targetStart = 0, targetEnd = target.length, sourceStart = 0, sourceEnd = this.length) {
    if (!(target instanceof Uint8Array)) throw invalidArgType('target', 'an instance of Buffer or Uint8Array', target);
    checkInteger(targetStart, 'targetStart', 0);
    checkInteger(targetEnd, 'targetEnd', 0, target.length);
    checkInteger(sourceStart, 'sourceStart', 0);
    checkInteger(sourceEnd, 'sourceEnd', 0, this.length);
    const mine = this.subarray(Math.min(sourceStart, sourceEnd), sourceEnd);
    return compareBytes(mine, target.subarray(Math.min(targetStart, targetEnd), targetEnd));
  },
  indexOf(value, byteOffset, encoding) {
    return search(this, value, byteOffset, encoding, true);
  },
  lastIndexOf(value, byteOffset, encoding) {
    return search(this, value, byteOffset, encoding, false);
  },
  includes(value, byteOffset, encoding) {
    return search(this, value, byteOffset, encoding, true) !== -1;
  },
  subarray(start, end) {
    const from = clampIndex(start, this.length);
    const to = end === undefined ? this.length : clampIndex(end, this.length);
    return new FastBuffer(this.buffer, this.byteOffset + from, Math.max(to - from, 0));
  },
  slice(start, end) {
    return this.subarray(start, end);
  },
  fill(value, offset, end, encoding) {
    if (typeof offset === 'string') {
      encoding = offset;
      offset = undefined;
      end = undefined;
    } else if (typeof end === 'string') {
      encoding = end;
      end = undefined;
    }
    if (offset !== undefined) checkInteger(offset, 'offset', 0);
    if (end !== undefined) checkInteger(end, 'end', 0, this.length);
    const from = offset ?? 0;
    const to = end ?? this.length;
    if (from >= to) return this;
    if (typeof value === 'string' || value instanceof Uint8Array) {
      if (typeof value === 'string' && encoding !== undefined) checkString(encoding, 'encoding');
      const pattern = typeof value === 'string' ? encode(value, encodingOf(encoding)) : value;
      if (pattern.length === 0) {
        if (value.length > 0) throw typeError('ERR_INVALID_ARG_VALUE', `The argument 'value' is invalid. Received '${value}'`);
        return fillBytes.call(this, 0, from, to);
      }
      if (pattern.length === 1) return fillBytes.call(this, pattern[0], from, to);
      let n = Math.min(pattern.length, to - from);
      this.set(pattern.subarray(0, n), from);
      // Doubles what is there already.
      for (; from + n < to; n *= 2) this.copyWithin(from + n, from, from + Math.min(n, to - from - n));
      return this;
    }
    return fillBytes.call(this, (typeof value === 'boolean' ? +value : value) & 255, from, to);
  },
  copy(target, targetStart = 0, sourceStart = 0, sourceEnd = this.length) {
    const bytes = view(target);
    if (bytes === undefined) throw invalidArgType('target', 'an instance of Buffer or Uint8Array', target);
    const at = Math.trunc(+targetStart) || 0;
    const from = Math.trunc(+sourceStart) || 0;
    if (at < 0) throw outOfRange('targetStart', '>= 0', at);
    if (from < 0 || from > this.length) throw outOfRange('sourceStart', `>= 0 && <= ${this.length}`, from);
    let to = Math.trunc(+sourceEnd) || 0;
    if (to < 0) throw outOfRange('sourceEnd', '>= 0', to);
    to = Math.min(to, this.length, from + bytes.length - at);
    if (to <= from || at >= bytes.length) return 0;
    bytes.set(Uint8Array.prototype.subarray.call(this, from, to), at);
    return to - from;
  },
  write(text, offset, length, encoding) {
    if (typeof text !== 'string') throw typeError('ERR_INVALID_ARG_TYPE', 'argument must be a string');
    if (typeof offset === 'string') {
      encoding = offset;
      offset = undefined;
      length = undefined;
    } else if (typeof length === 'string') {
      encoding = length;
      length = undefined;
    }
    if (offset !== undefined) checkInteger(offset, 'offset', 0, this.length);
    const at = offset ?? 0;
    if (length !== undefined) checkInteger(length, 'length', 0, this.length);
    const most = Math.min(length ?? Infinity, this.length - at);
    const name = encodingOf(encoding);
    let bytes = encode(text, name);
    if (bytes.length > most) {
      let n = most;
      if (name === 'utf16le') n &= ~1;
      // No part of a character is written.
      else if (name === 'utf8') while (n > 0 && (bytes[n] & 0xc0) === 0x80) n--;
      bytes = bytes.subarray(0, n);
    }
    this.set(bytes, at);
    return bytes.length;
  },
  swap16() {
    return swap(this, 2);
  },
  swap32() {
    return swap(this, 4);
  },
  swap64() {
    return swap(this, 8);
  },
  toLocaleString(encoding, start, end) {
    return this.toString(encoding, start, end);
  },
  [Symbol.for('nodejs.util.inspect.custom')](depth, context) {
    const shown = this.subarray(0, exports.INSPECT_MAX_BYTES ?? INSPECT_MAX).toString('hex').replace(/(..)(?=.)/g, '$1 ');
    const more = this.length - INSPECT_MAX;
    let text = shown;
    if (more > 0) text += ` ... ${more} more byte${more > 1 ? 's' : ''}`;
    return `<${this.constructor?.name ?? 'Buffer'}${text === '' ? '' : ` ${text}`}>`;
  },
  get parent() {
    return this.buffer;
  },
  get offset() {
    return this.byteOffset;
  },
};

// --- Numbers ------------------------------------------------------------------------------------------------------------------------

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

function checkOffset(buffer, offset, size) {
  if (typeof offset !== 'number') throw invalidArgType('offset', 'of type number', offset);
  const most = buffer.length - size;
  if (offset >= 0 && offset <= most && Number.isInteger(offset)) return;
  if (!Number.isInteger(offset)) throw outOfRange('offset', 'an integer', offset);
  if (most < 0) throw rangeError('ERR_BUFFER_OUT_OF_BOUNDS', 'Attempt to access memory outside buffer bounds');
  throw outOfRange('offset', `>= 0 and <= ${most}`, offset);
}

function readInteger(buffer, offset, size, isLittle, isSigned) {
  checkOffset(buffer, offset, size);
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + buffer[isLittle ? offset + size - 1 - i : offset + i];
  const half = 2 ** (size * 8 - 1);
  return isSigned && value >= half ? value - 2 * half : value;
}

function writeInteger(buffer, value, offset, size, isLittle, isSigned) {
  const number = +value;
  const bits = size * 8;
  const min = isSigned ? -(2 ** (bits - 1)) : 0;
  const max = isSigned ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  if (number > max || number < min) {
    let range = `>= ${min} and <= ${max}`;
    if (size > 4 || size === 3) range = isSigned ? `>= -(2 ** ${bits - 1}) and < 2 ** ${bits - 1}` : `>= 0 and < 2 ** ${bits}`;
    if (size === 3) range = `>= ${min} and <= ${max}`;
    throw outOfRange('value', range, number);
  }
  checkOffset(buffer, offset, size);
  let rest = Math.trunc(number) || 0;
  if (rest < 0) rest += 2 ** bits;
  for (let i = 0; i < size; i++) {
    buffer[isLittle ? offset + i : offset + size - 1 - i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + size;
}

function checkByteLength(size) {
  if (typeof size !== 'number') throw invalidArgType('byteLength', 'of type number', size);
  if (!Number.isInteger(size)) throw outOfRange('byteLength', 'an integer', size);
  if (size < 1 || size > 6) throw outOfRange('byteLength', '>= 1 and <= 6', size);
}

function both(name, alias, method) {
  methods[name] = method;
  Object.defineProperty(method, 'name', { value: name });
  if (alias !== undefined) methods[alias] = method;
}

for (const [sign, isSigned] of [['UInt', false], ['Int', true]]) {
  const other = isSigned ? undefined : 'Uint';
  const alias = (prefix, rest) => (other === undefined ? undefined : `${prefix}${other}${rest}`);
  both(`read${sign}8`, alias('read', '8'), function (offset = 0) {
    return readInteger(this, offset, 1, true, isSigned);
  });
  both(`write${sign}8`, alias('write', '8'), function (value, offset = 0) {
    return writeInteger(this, value, offset, 1, true, isSigned);
  });
  for (const [end, isLittle] of [['LE', true], ['BE', false]]) {
    for (const size of [2, 4]) {
      both(`read${sign}${size * 8}${end}`, alias('read', `${size * 8}${end}`), function (offset = 0) {
        return readInteger(this, offset, size, isLittle, isSigned);
      });
      both(`write${sign}${size * 8}${end}`, alias('write', `${size * 8}${end}`), function (value, offset = 0) {
        return writeInteger(this, value, offset, size, isLittle, isSigned);
      });
    }
    both(`read${sign}${end}`, alias('read', end), function (offset, size) {
      if (offset === undefined) throw invalidArgType('offset', 'of type number', offset);
      checkByteLength(size);
      return readInteger(this, offset, size, isLittle, isSigned);
    });
    both(`write${sign}${end}`, alias('write', end), function (value, offset, size) {
      checkByteLength(size);
      return writeInteger(this, value, offset, size, isLittle, isSigned);
    });
    both(`readBig${sign}64${end}`, alias('readBig', `64${end}`), function (offset = 0) {
      checkOffset(this, offset, 8);
      scratchBytes.set(Uint8Array.prototype.subarray.call(this, offset, offset + 8));
      return isSigned ? scratch.getBigInt64(0, isLittle) : scratch.getBigUint64(0, isLittle);
    });
    both(`writeBig${sign}64${end}`, alias('writeBig', `64${end}`), function (value, offset = 0) {
      if (typeof value !== 'bigint') throw invalidArgType('value', 'of type bigint', value);
      const fits = isSigned ? BigInt.asIntN(64, value) === value : BigInt.asUintN(64, value) === value;
      if (!fits) throw outOfRange('value', isSigned ? '>= -(2n ** 63n) and < 2n ** 63n' : '>= 0n and < 2n ** 64n', value);
      checkOffset(this, offset, 8);
      scratch.setBigUint64(0, BigInt.asUintN(64, value), isLittle);
      this.set(scratchBytes, offset);
      return offset + 8;
    });
  }
}

for (const [name, size] of [['Float', 4], ['Double', 8]]) {
  for (const [end, isLittle] of [['LE', true], ['BE', false]]) {
    both(`read${name}${end}`, undefined, function (offset = 0) {
      checkOffset(this, offset, size);
      scratchBytes.set(Uint8Array.prototype.subarray.call(this, offset, offset + size));
      return size === 4 ? scratch.getFloat32(0, isLittle) : scratch.getFloat64(0, isLittle);
    });
    both(`write${name}${end}`, undefined, function (value, offset = 0) {
      checkOffset(this, offset, size);
      if (size === 4) scratch.setFloat32(0, value, isLittle);
      else scratch.setFloat64(0, value, isLittle);
      this.set(scratchBytes.subarray(0, size), offset);
      return offset + size;
    });
  }
}

for (const key of Reflect.ownKeys(methods)) {
  Object.defineProperty(Buffer.prototype, key, { ...Object.getOwnPropertyDescriptor(methods, key), enumerable: false });
}

// --- The module ---------------------------------------------------------------------------------------------------------------------

function btoa(value) {
  const text = `${value}`;
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 255) throw new DOMException('Invalid character', 'InvalidCharacterError');
  }
  return decode(encode(text, 'latin1'), 'base64');
}

function atob(value) {
  const text = `${value}`.replace(/[\t\n\f\r ]/g, '');
  const plain = text.length % 4 === 0 ? text.replace(/==?$/, '') : text;
  if (plain.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(plain)) {
    throw new DOMException('The string to be decoded is not correctly encoded.', 'InvalidCharacterError');
  }
  return decode(encode(plain, 'base64'), 'latin1');
}

Object.assign(exports, {
  Buffer,
  atob,
  btoa,
  constants: { MAX_LENGTH, MAX_STRING_LENGTH: 2 ** 29 - 24 },
  INSPECT_MAX_BYTES: INSPECT_MAX,
  isAscii: (value) => view(value).every((byte) => byte < 128),
  isUtf8(value) {
    try {
      native.utf8Decode(view(value), true);
      return true;
    } catch {
      return false;
    }
  },
  kMaxLength: MAX_LENGTH,
  kStringMaxLength: 2 ** 29 - 24,
  SlowBuffer: (size) => Buffer.alloc(size),
  transcode(source, from, to) {
    if (normalize(from) === undefined || normalize(to) === undefined) throw error('U_ILLEGAL_ARGUMENT_ERROR', 'Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]');
    return Buffer.from(decode(source, normalize(from)), to);
  },
});
for (const name of ['Blob', 'File']) {
  Object.defineProperty(exports, name, { get: () => require('blob')[name], enumerable: true, configurable: true });
}
