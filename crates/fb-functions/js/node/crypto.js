// https://nodejs.org/docs/latest-v20.x/api/crypto.html
const { checkFunction, checkInteger, checkString, error: codedError, invalidArgType, notOffered, outOfRange, rangeError, typeError } = require('errors');
const { encode, encodingOf, view } = require('bytes');
const { Buffer } = require('buffer');

const HASHES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'];
const PIECE = 8 << 20;

const wrap = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

// Bytes of a string or of anything that has some.
function bytesOf(value, name, encoding) {
  if (typeof value === 'string') return encode(value, encodingOf(encoding === 'buffer' ? 'utf8' : encoding));
  if (value instanceof KeyObject) return value.bytes;
  const bytes = view(value);
  if (bytes === undefined) throw invalidArgType(name, 'of type string or an instance of Buffer, TypedArray, or DataView', value);
  return bytes;
}

const result = (bytes, encoding) => (encoding === undefined || encoding === 'buffer' ? wrap(bytes) : wrap(bytes).toString(encoding));

// --- Keys -------------------------------------------------------------------------------------------------------------------------------

class KeyObject {
  #bytes;

  constructor(type, bytes) {
    this.type = type;
    this.#bytes = bytes;
    if (type !== 'secret') this.asymmetricKeyType = native.keyType(bytes, type === 'private');
    else this.symmetricKeySize = bytes.length;
  }
  get bytes() {
    return this.#bytes;
  }
  export(options) {
    if (this.type === 'secret') {
      if (options?.format === 'jwk') return { kty: 'oct', k: wrap(this.#bytes).toString('base64url') };
      return wrap(new Uint8Array(this.#bytes));
    }
    const bytes = wrap(new Uint8Array(this.#bytes));
    if (options?.format === 'pem' && bytes.toString('latin1', 0, 5) === '-----') return bytes.toString('latin1');
    if (options?.format === 'der' && bytes[0] === 0x30) return bytes;
    throw notOffered('exporting a key in another form than it came in');
  }
  equals(other) {
    return this.type === other.type && wrap(this.#bytes).equals(other.bytes);
  }
}

const createSecretKey = (key, encoding) => new KeyObject('secret', new Uint8Array(bytesOf(key, 'key', encoding)));

function keyMaterial(key) {
  const given = key !== null && typeof key === 'object' && !(key instanceof KeyObject) && view(key) === undefined ? key.key : key;
  if (key?.passphrase !== undefined) throw notOffered('a key with a passphrase');
  if (key?.format === 'jwk') throw notOffered('a key as JWK');
  return bytesOf(given, 'key');
}
const createPrivateKey = (key) => new KeyObject('private', new Uint8Array(keyMaterial(key)));
const createPublicKey = (key) => new KeyObject('public', new Uint8Array(keyMaterial(key)));

// --- Objects that are streams only when they are used as such ---------------------------------------------------------------------------

const STREAM_METHODS = ['addListener', 'emit', 'end', 'listenerCount', 'off', 'on', 'once', 'pipe', 'prependListener', 'read', 'removeAllListeners', 'removeListener', 'resume', 'pause', 'setEncoding', 'unpipe', 'write', 'destroy'];
const inner = new WeakMap();

function streamOf(object) {
  let stream = inner.get(object);
  if (stream === undefined) {
    const { Transform } = require('stream-core');
    stream = new Transform({
      transform(chunk, encoding, callback) {
        object.consume(chunk, callback);
      },
      flush(callback) {
        object.finish(callback);
      },
    });
    inner.set(object, stream);
  }
  return stream;
}

function streams(type) {
  for (const name of STREAM_METHODS) {
    Object.defineProperty(type.prototype, name, {
      value(...args) {
        const stream = streamOf(this);
        const returned = stream[name](...args);
        return returned === stream ? this : returned;
      },
      writable: true,
      configurable: true,
    });
  }
  for (const name of ['_writableState', '_readableState', 'writable', 'readable', 'writableNeedDrain', 'destroyed', 'closed']) {
    Object.defineProperty(type.prototype, name, { get: function () {
      return streamOf(this)[name];
    }, configurable: true });
  }
  Object.defineProperty(type.prototype, Symbol.asyncIterator, { value() {
    return streamOf(this)[Symbol.asyncIterator]();
  } });
}

function feed(hasher, bytes) {
  for (let i = 0; i < bytes.length; i += PIECE) hasher(bytes.length <= PIECE ? bytes : bytes.subarray(i, i + PIECE));
}

// --- Hashes -----------------------------------------------------------------------------------------------------------------------------

class Hash {
  #hasher;
  #isDone = false;

  constructor(hasher) {
    this.#hasher = hasher;
  }
  update(data, encoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    feed(this.#hasher, bytesOf(data, 'data', encoding));
    return this;
  }
  digest(encoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    this.#isDone = true;
    return result(this.#hasher(), encoding);
  }
  copy() {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    return new Hash(this.#hasher(true));
  }
  consume(chunk, callback) {
    this.update(chunk);
    callback();
  }
  finish(callback) {
    callback(null, this.digest());
  }
}
streams(Hash);

class Hmac {
  #hasher;
  #isDone = false;

  constructor(hasher) {
    this.#hasher = hasher;
  }
  update(data, encoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_HASH_FINALIZED', 'Digest already called');
    feed(this.#hasher, bytesOf(data, 'data', encoding));
    return this;
  }
  digest(encoding) {
    if (this.#isDone) return encoding === undefined || encoding === 'buffer' ? Buffer.alloc(0) : '';
    this.#isDone = true;
    return result(this.#hasher(), encoding);
  }
  consume(chunk, callback) {
    this.update(chunk);
    callback();
  }
  finish(callback) {
    callback(null, this.digest());
  }
}
streams(Hmac);

function createHash(algorithm) {
  checkString(algorithm, 'algorithm');
  return new Hash(native.hasher(algorithm));
}

function createHmac(algorithm, key, options) {
  checkString(algorithm, 'hmac');
  if (key === null || key === undefined) throw invalidArgType('key', 'of type string or an instance of ArrayBuffer, Buffer, TypedArray, DataView, KeyObject, or CryptoKey', key);
  let hasher;
  try {
    hasher = native.hasher(algorithm, bytesOf(key, 'key', options?.encoding));
  } catch (error) {
    if (error.code === 'ERR_OSSL_EVP_UNSUPPORTED') throw typeError('ERR_CRYPTO_INVALID_DIGEST', `Invalid digest: ${algorithm}`);
    throw error;
  }
  return new Hmac(hasher);
}

function hash(algorithm, data, encoding = 'hex') {
  return createHash(algorithm).update(data).digest(encoding);
}

// --- Randomness -------------------------------------------------------------------------------------------------------------------------

function later(callback, work) {
  checkFunction(callback, 'callback');
  let value;
  try {
    value = work();
  } catch (error) {
    queueMicrotask(() => callback(error));
    return undefined;
  }
  queueMicrotask(() => callback(null, value));
  return undefined;
}

function randomBytes(size, callback) {
  if (typeof size !== 'number') throw invalidArgType('size', 'of type number', size);
  if (!(size >= 0 && size <= 2 ** 31 - 1)) throw outOfRange('size', '>= 0 && <= 2147483647', size);
  return callback === undefined ? wrap(native.randomBytes(size)) : later(callback, () => wrap(native.randomBytes(size)));
}

function randomFillSync(target, offset = 0, size = target.byteLength - offset) {
  const bytes = view(target);
  if (bytes === undefined) throw invalidArgType('buf', 'an instance of ArrayBuffer or ArrayBufferView', target);
  checkInteger(offset, 'offset', 0, bytes.length);
  checkInteger(size, 'size', 0, bytes.length - offset);
  bytes.set(native.randomBytes(size), offset);
  return target;
}

function randomInt(min, max, callback) {
  let [from, to, done] = [min, max, callback];
  if (to === undefined || typeof to === 'function') [from, to, done] = [0, min, max];
  if (!Number.isSafeInteger(from)) throw invalidArgType('min', 'a safe integer', from);
  if (!Number.isSafeInteger(to)) throw invalidArgType('max', 'a safe integer', to);
  if (to <= from) throw outOfRange('max', `greater than the value of "min" (${from})`, to);
  const range = to - from;
  if (range > 2 ** 48 - 1) throw outOfRange('max - min', `<= ${2 ** 48 - 1}`, range);
  const draw = () => {
    // What is above the last whole multiple is drawn again, so that all values are as likely.
    const most = 2 ** 48 - (2 ** 48 % range);
    for (;;) {
      const value = wrap(native.randomBytes(6)).readUIntBE(0, 6);
      if (value < most) return from + (value % range);
    }
  };
  return done === undefined ? draw() : later(done, draw);
}

function randomUUID() {
  const bytes = wrap(native.randomBytes(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function getRandomValues(target) {
  const integers = /^(Big)?(Ui|I)nt\d+(Clamped)?Array$/;
  if (!ArrayBuffer.isView(target) || !integers.test(target[Symbol.toStringTag] ?? '')) {
    throw new DOMException('The data argument must be an integer-type TypedArray', 'TypeMismatchError');
  }
  if (target.byteLength > 65536) {
    throw new DOMException(`The requested length exceeds 65,536 bytes`, 'QuotaExceededError');
  }
  return randomFillSync(target);
}

function timingSafeEqual(a, b) {
  const x = view(a);
  const y = view(b);
  if (x === undefined) throw invalidArgType('buf1', 'an instance of ArrayBuffer, Buffer, TypedArray, or DataView', a);
  if (y === undefined) throw invalidArgType('buf2', 'an instance of ArrayBuffer, Buffer, TypedArray, or DataView', b);
  if (x.length !== y.length) throw rangeError('ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH', 'Input buffers must have the same byte length');
  return native.timingSafeEqual(x, y);
}

// --- Keys from passwords ----------------------------------------------------------------------------------------------------------------

function pbkdf2Sync(password, salt, iterations, length, digest) {
  const secret = bytesOf(password, 'password');
  const salted = bytesOf(salt, 'salt');
  checkInteger(iterations, 'iterations', 1, 2147483647);
  checkInteger(length, 'keylen', 0, 2147483647);
  checkString(digest, 'digest');
  try {
    return wrap(native.pbkdf2(digest, secret, salted, iterations, length));
  } catch (error) {
    throw error.code === 'ERR_CRYPTO_INVALID_DIGEST' ? typeError(error.code, error.message) : error;
  }
}

function scryptSync(password, salt, length, options = {}) {
  const secret = bytesOf(password, 'password');
  const salted = bytesOf(salt, 'salt');
  checkInteger(length, 'keylen', 0, 2147483647);
  const N = options.N ?? options.cost ?? 16384;
  const r = options.r ?? options.blockSize ?? 8;
  const p = options.p ?? options.parallelization ?? 1;
  const most = options.maxmem ?? 32 << 20;
  if (128 * N * r > most) throw rangeError('ERR_CRYPTO_INVALID_SCRYPT_PARAMS', 'Invalid scrypt params: memory limit exceeded');
  return wrap(native.scrypt(secret, salted, N, r, p, length));
}

function hkdfSync(digest, key, salt, info, length) {
  checkString(digest, 'digest');
  const extracted = createHmac(digest, bytesOf(salt, 'salt')).update(bytesOf(key, 'ikm')).digest();
  checkInteger(length, 'length', 0, 255 * extracted.length);
  const blocks = [];
  let last = Buffer.alloc(0);
  for (let i = 1; blocks.length * extracted.length < length; i++) {
    last = createHmac(digest, extracted).update(last).update(bytesOf(info, 'info')).update(Buffer.from([i])).digest();
    blocks.push(last);
  }
  return new Uint8Array(Buffer.concat(blocks).subarray(0, length)).buffer;
}

// --- Ciphers ----------------------------------------------------------------------------------------------------------------------------

class Cipher {
  #name;
  #key;
  #iv;
  #decrypts;
  #pads = true;
  #steps = null;
  #tag;
  #tagLength;
  #isDone = false;
  #decoder = null;

  constructor(name, key, iv, options, decrypts) {
    checkString(name, 'cipher');
    this.#name = name.toLowerCase().replace(/^aes(128|192|256)$/, 'aes-$1-cbc').replace(/^id-aes(\d+)-gcm$/i, 'aes-$1-gcm');
    this.#key = new Uint8Array(bytesOf(key, 'key'));
    this.#iv = iv === null ? new Uint8Array(0) : new Uint8Array(bytesOf(iv, 'iv'));
    this.#decrypts = decrypts;
    this.#tagLength = options?.authTagLength ?? 16;
    // Wrong keys are refused at once.
    this.#open();
    this.#steps = null;
  }
  get #isGcm() {
    return this.#name.endsWith('-gcm');
  }
  #open() {
    this.#steps ??= native.cipher(this.#name, this.#key, this.#iv, this.#decrypts, this.#pads);
    return this.#steps;
  }
  #text(bytes, encoding) {
    if (encoding === undefined || encoding === 'buffer') return wrap(bytes);
    this.#decoder ??= new (require('string_decoder').StringDecoder)(encoding);
    return this.#decoder.write(bytes);
  }
  setAutoPadding(pads = true) {
    this.#pads = Boolean(pads);
    return this;
  }
  setAAD(data, options) {
    if (!this.#isGcm) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Invalid state for operation setAAD');
    this.#open()('aad', bytesOf(data, 'buffer', options?.encoding));
    return this;
  }
  getAuthTag() {
    if (this.#decrypts || this.#tag === undefined) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Invalid state for operation getAuthTag');
    return wrap(this.#tag.slice(0, this.#tagLength));
  }
  setAuthTag(tag, encoding) {
    const bytes = bytesOf(tag, 'buffer', encoding);
    if (!this.#decrypts || !this.#isGcm || this.#isDone) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Invalid state for operation setAuthTag');
    if (![4, 8, 12, 13, 14, 15, 16].includes(bytes.length)) {
      throw typeError('ERR_CRYPTO_INVALID_AUTH_TAG', `Invalid authentication tag length: ${bytes.length}`);
    }
    this.#tag = new Uint8Array(bytes);
    return this;
  }
  update(data, inputEncoding, outputEncoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Trying to add data in unsupported state');
    const bytes = bytesOf(data, 'data', inputEncoding);
    return this.#text(this.#open()('update', bytes), outputEncoding);
  }
  final(outputEncoding) {
    if (this.#isDone) throw codedError('ERR_CRYPTO_INVALID_STATE', 'Unsupported state');
    this.#isDone = true;
    let bytes;
    if (this.#isGcm && !this.#decrypts) {
      this.#tag = this.#open()('final');
      bytes = new Uint8Array(0);
    } else {
      try {
        bytes = this.#open()('final', this.#isGcm ? (this.#tag ?? new Uint8Array(0)) : undefined);
      } catch (error) {
        if (error.code === '') delete error.code;
        throw error;
      }
    }
    if (outputEncoding === undefined || outputEncoding === 'buffer') return wrap(bytes);
    const text = this.#text(bytes, outputEncoding);
    return text + this.#decoder.end();
  }
  consume(chunk, callback) {
    callback(null, this.update(chunk));
  }
  finish(callback) {
    try {
      callback(null, this.final());
    } catch (error) {
      callback(error);
    }
  }
}
streams(Cipher);

// --- Signatures -------------------------------------------------------------------------------------------------------------------------

const constants = {
  RSA_PKCS1_PADDING: 1,
  RSA_PKCS1_OAEP_PADDING: 4,
  RSA_PKCS1_PSS_PADDING: 6,
  RSA_PSS_SALTLEN_DIGEST: -1,
  RSA_PSS_SALTLEN_MAX_SIGN: -2,
  RSA_PSS_SALTLEN_AUTO: -2,
};

function scheme(algorithm, key) {
  const name = String(algorithm ?? '').toLowerCase().replace(/^rsa-/, '').replace('sha-', 'sha');
  if (key?.padding === constants.RSA_PKCS1_PSS_PADDING) {
    if (key.saltLength !== undefined && key.saltLength !== constants.RSA_PSS_SALTLEN_DIGEST && key.saltLength !== Number(name.slice(3)) / 8) {
      throw notOffered('PSS with a salt of another length than the hash');
    }
    return `${name}/pss`;
  }
  return key?.dsaEncoding === 'ieee-p1363' ? `${name}/fixed` : name;
}

function sign(algorithm, data, key, callback) {
  if (callback !== undefined) return later(callback, () => sign(algorithm, data, key));
  return wrap(native.sign(scheme(algorithm, key), keyMaterial(key), bytesOf(data, 'data')));
}

function verify(algorithm, data, key, signature, callback) {
  if (callback !== undefined) return later(callback, () => verify(algorithm, data, key, signature));
  return native.verify(scheme(algorithm, key), keyMaterial(key), bytesOf(data, 'data'), bytesOf(signature, 'signature'));
}

class Signing {
  #pieces = [];
  #algorithm;

  constructor(algorithm) {
    checkString(algorithm, 'algorithm');
    this.#algorithm = algorithm;
  }
  update(data, encoding) {
    this.#pieces.push(new Uint8Array(bytesOf(data, 'data', encoding)));
    return this;
  }
  get data() {
    return Buffer.concat(this.#pieces);
  }
  get algorithm() {
    return this.#algorithm;
  }
  write(data, encoding) {
    this.update(data, encoding);
    return true;
  }
  end(data, encoding) {
    if (data !== undefined) this.update(data, encoding);
    return this;
  }
}
class Sign extends Signing {
  sign(key, encoding) {
    return result(sign(this.algorithm, this.data, key), encoding);
  }
}
class Verify extends Signing {
  verify(key, signature, encoding) {
    return verify(this.algorithm, this.data, key, bytesOf(signature, 'signature', encoding));
  }
}

// --- The module -------------------------------------------------------------------------------------------------------------------------

Object.assign(exports, {
  Cipher,
  Decipher: Cipher,
  Hash,
  Hmac,
  KeyObject,
  Sign,
  Verify,
  constants,
  createCipheriv: (name, key, iv, options) => new Cipher(name, key, iv, options, false),
  createDecipheriv: (name, key, iv, options) => new Cipher(name, key, iv, options, true),
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  createSign: (algorithm) => new Sign(algorithm),
  createVerify: (algorithm) => new Verify(algorithm),
  getCiphers: () => [128, 192, 256].flatMap((bits) => ['cbc', 'ctr', 'gcm'].map((mode) => `aes-${bits}-${mode}`)),
  getCurves: () => ['prime256v1', 'secp384r1'],
  getHashes: () => HASHES.slice(),
  getRandomValues,
  hash,
  hkdf: (digest, key, salt, info, length, callback) => later(callback, () => hkdfSync(digest, key, salt, info, length)),
  hkdfSync,
  pbkdf2: (password, salt, iterations, length, digest, callback) => {
    checkFunction(callback, 'callback');
    checkInteger(iterations, 'iterations', 1, 2147483647);
    return later(callback, () => pbkdf2Sync(password, salt, iterations, length, digest));
  },
  pbkdf2Sync,
  pseudoRandomBytes: randomBytes,
  randomBytes,
  randomFill: (target, ...rest) => {
    const callback = rest.pop();
    return later(callback, () => randomFillSync(target, ...rest));
  },
  randomFillSync,
  randomInt,
  randomUUID,
  rng: randomBytes,
  scrypt: (password, salt, length, options, callback) => {
    const [given, done] = typeof options === 'function' ? [{}, options] : [options, callback];
    return later(done, () => scryptSync(password, salt, length, given));
  },
  scryptSync,
  sign,
  timingSafeEqual,
  verify,
});
for (const name of ['createECDH', 'createDiffieHellman', 'generateKeyPair', 'generateKeyPairSync', 'publicEncrypt', 'privateDecrypt', 'publicDecrypt', 'privateEncrypt', 'diffieHellman']) {
  exports[name] = () => {
    throw notOffered(`crypto.${name}`);
  };
}
Object.defineProperty(exports, 'webcrypto', { get: () => require('webcrypto').crypto, enumerable: true });
Object.defineProperty(exports, 'subtle', { get: () => require('webcrypto').crypto.subtle, enumerable: true });
