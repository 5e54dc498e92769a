// The global `crypto`: digests, HMAC, AES-GCM, AES-CBC and AES-CTR. https://w3c.github.io/webcrypto
const crypto = require('crypto');
const { Buffer } = require('buffer');
const { view } = require('bytes');

const HASHES = new Map([['SHA-1', 'sha1'], ['SHA-256', 'sha256'], ['SHA-384', 'sha384'], ['SHA-512', 'sha512']]);
const BLOCKS = new Map([['SHA-1', 64], ['SHA-256', 64], ['SHA-384', 128], ['SHA-512', 128]]);
const AES = new Set(['AES-GCM', 'AES-CBC', 'AES-CTR']);
const USAGES = new Map([
  ['HMAC', ['sign', 'verify']],
  ['AES-GCM', ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey']],
  ['AES-CBC', ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey']],
  ['AES-CTR', ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey']],
  ['PBKDF2', ['deriveBits', 'deriveKey']],
  ['HKDF', ['deriveBits', 'deriveKey']],
]);

const refuse = (message, name = 'OperationError') => new DOMException(message, name);
const unknown = () => refuse('Unrecognized algorithm name', 'NotSupportedError');

let material;

class CryptoKey {
  #bytes;

  constructor(bytes, algorithm, extractable, usages) {
    this.#bytes = bytes;
    Object.assign(this, { type: 'secret', extractable, algorithm, usages });
  }
  static {
    material = (key) => key.#bytes;
  }
}
Object.defineProperty(CryptoKey.prototype, Symbol.toStringTag, { value: 'CryptoKey', configurable: true });

function named(algorithm) {
  const given = typeof algorithm === 'string' ? { name: algorithm } : algorithm;
  return { ...given, name: String(given?.name).toUpperCase() };
}

function hashOf(algorithm) {
  const { name } = named(algorithm);
  if (!HASHES.has(name)) throw unknown();
  return name;
}

function bytesOf(value) {
  const bytes = view(value);
  if (bytes === undefined) throw new TypeError('a BufferSource is expected');
  return bytes;
}

const bufferOf = (bytes) => new Uint8Array(bytes).buffer;

function checkUse(key, algorithm, usage) {
  if (!(key instanceof CryptoKey)) throw new TypeError('a CryptoKey is expected');
  if (key.algorithm.name !== algorithm.name || !key.usages.includes(usage)) {
    throw refuse(`Unable to use this key to ${usage}`, 'InvalidAccessError');
  }
}

function make(bytes, algorithm, extractable, usages) {
  const allowed = USAGES.get(algorithm.name);
  if (allowed === undefined) throw unknown();
  if (usages.some((usage) => !allowed.includes(usage))) throw refuse(`Unsupported key usage for a ${algorithm.name} key`, 'SyntaxError');
  if (usages.length === 0) throw refuse('Usages cannot be empty when importing a secret key.', 'SyntaxError');
  const kept = { name: algorithm.name };
  if (AES.has(kept.name)) {
    if (![16, 24, 32].includes(bytes.length)) throw refuse('Invalid key length', 'DataError');
    kept.length = bytes.length * 8;
  } else if (kept.name === 'HMAC') {
    if (bytes.length === 0) throw refuse('Zero-length key is not supported', 'DataError');
    kept.hash = { name: hashOf(algorithm.hash) };
    kept.length = bytes.length * 8;
  }
  return new CryptoKey(new Uint8Array(bytes), kept, Boolean(extractable), [...usages]);
}

function aes(algorithm, key, data, decrypts) {
  const bits = key.algorithm.length;
  const open = decrypts ? crypto.createDecipheriv : crypto.createCipheriv;
  if (algorithm.name === 'AES-GCM') {
    const n = (algorithm.tagLength ?? 128) / 8;
    const cipher = open(`aes-${bits}-gcm`, material(key), bytesOf(algorithm.iv), { authTagLength: n });
    if (algorithm.additionalData !== undefined) cipher.setAAD(bytesOf(algorithm.additionalData));
    if (!decrypts) return Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
    if (data.length < n) throw refuse('The provided data is too small.');
    cipher.setAuthTag(data.subarray(data.length - n));
    return Buffer.concat([cipher.update(data.subarray(0, data.length - n)), cipher.final()]);
  }
  const isCounter = algorithm.name === 'AES-CTR';
  if (isCounter && algorithm.length !== undefined && algorithm.length < 32) throw refuse('counters of less than 32 bits are not supported', 'NotSupportedError');
  const cipher = open(`aes-${bits}-${isCounter ? 'ctr' : 'cbc'}`, material(key), bytesOf(isCounter ? algorithm.counter : algorithm.iv));
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

function crypt(given, key, data, decrypts) {
  const algorithm = named(given);
  if (!AES.has(algorithm.name)) throw unknown();
  checkUse(key, algorithm, decrypts ? 'decrypt' : 'encrypt');
  try {
    return bufferOf(aes(algorithm, key, bytesOf(data), decrypts));
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) throw error;
    throw refuse('The operation failed for an operation-specific reason');
  }
}

const mac = (key, data) => crypto.createHmac(HASHES.get(key.algorithm.hash.name), material(key)).update(bytesOf(data)).digest();

function derive(given, key, bits) {
  const algorithm = named(given);
  const hash = HASHES.get(hashOf(algorithm.hash));
  if (algorithm.name === 'PBKDF2') {
    return crypto.pbkdf2Sync(material(key), bytesOf(algorithm.salt), algorithm.iterations, bits / 8, hash);
  }
  if (algorithm.name === 'HKDF') return Buffer.from(crypto.hkdfSync(hash, material(key), bytesOf(algorithm.salt), bytesOf(algorithm.info), bits / 8));
  throw unknown();
}

const keyLength = (algorithm) => algorithm.length ?? (algorithm.name === 'HMAC' ? BLOCKS.get(hashOf(algorithm.hash)) * 8 : 256);

class SubtleCrypto {
  async digest(algorithm, data) {
    return bufferOf(crypto.createHash(HASHES.get(hashOf(algorithm))).update(bytesOf(data)).digest());
  }
  async sign(given, key, data) {
    const algorithm = named(given);
    if (algorithm.name !== 'HMAC') throw unknown();
    checkUse(key, algorithm, 'sign');
    return bufferOf(mac(key, data));
  }
  async verify(given, key, signature, data) {
    const algorithm = named(given);
    if (algorithm.name !== 'HMAC') throw unknown();
    checkUse(key, algorithm, 'verify');
    const expected = mac(key, data);
    const bytes = bytesOf(signature);
    return bytes.length === expected.length && crypto.timingSafeEqual(bytes, expected);
  }
  async encrypt(algorithm, key, data) {
    return crypt(algorithm, key, data, false);
  }
  async decrypt(algorithm, key, data) {
    return crypt(algorithm, key, data, true);
  }
  async importKey(format, data, given, extractable, usages) {
    const algorithm = named(given);
    if (format === 'jwk') {
      if (data?.kty !== 'oct') throw refuse('only secret keys are supported as JWK', 'NotSupportedError');
      return make(Buffer.from(data.k, 'base64url'), algorithm, extractable, usages);
    }
    if (format !== 'raw') throw refuse('only the formats raw and jwk are supported', 'NotSupportedError');
    return make(bytesOf(data), algorithm, extractable, usages);
  }
  async exportKey(format, key) {
    if (!key.extractable) throw refuse('key is not extractable', 'InvalidAccessError');
    if (format === 'raw') return bufferOf(material(key));
    if (format !== 'jwk') throw refuse('only the formats raw and jwk are supported', 'NotSupportedError');
    const { name, length, hash } = key.algorithm;
    const alg = name === 'HMAC' ? `HS${hash.name.slice(4)}` : `A${length}${name.slice(4)}`;
    return { key_ops: key.usages, ext: key.extractable, kty: 'oct', k: Buffer.from(material(key)).toString('base64url'), alg };
  }
  async generateKey(given, extractable, usages) {
    const algorithm = named(given);
    if (!AES.has(algorithm.name) && algorithm.name !== 'HMAC') throw unknown();
    return make(native.randomBytes(keyLength(algorithm) / 8), algorithm, extractable, usages);
  }
  async deriveBits(algorithm, key, bits) {
    checkUse(key, named(algorithm), 'deriveBits');
    return bufferOf(derive(algorithm, key, bits));
  }
  async deriveKey(algorithm, key, given, extractable, usages) {
    checkUse(key, named(algorithm), 'deriveKey');
    const wanted = named(given);
    return make(derive(algorithm, key, keyLength(wanted)), wanted, extractable, usages);
  }
}

class Crypto {
  #subtle = new SubtleCrypto();

  get subtle() {
    return this.#subtle;
  }
  getRandomValues(target) {
    return crypto.getRandomValues(target);
  }
  randomUUID() {
    return crypto.randomUUID();
  }
}
for (const type of [Crypto, SubtleCrypto]) Object.defineProperty(type.prototype, Symbol.toStringTag, { value: type.name, configurable: true });

module.exports = { Crypto, CryptoKey, SubtleCrypto, crypto: new Crypto() };
