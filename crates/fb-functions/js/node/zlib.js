// https://nodejs.org/docs/latest-v20.x/api/zlib.html – whole inputs at once; streams collect what they are given.
const { checkFunction, invalidArgType, outOfRange, rangeError } = require('errors');
const { encode, view } = require('bytes');
const { Buffer } = require('buffer');

const MOST = 16 << 20;

const constants = {
  Z_NO_FLUSH: 0,
  Z_PARTIAL_FLUSH: 1,
  Z_SYNC_FLUSH: 2,
  Z_FULL_FLUSH: 3,
  Z_FINISH: 4,
  Z_BLOCK: 5,
  Z_OK: 0,
  Z_STREAM_END: 1,
  Z_NEED_DICT: 2,
  Z_ERRNO: -1,
  Z_STREAM_ERROR: -2,
  Z_DATA_ERROR: -3,
  Z_MEM_ERROR: -4,
  Z_BUF_ERROR: -5,
  Z_VERSION_ERROR: -6,
  Z_NO_COMPRESSION: 0,
  Z_BEST_SPEED: 1,
  Z_BEST_COMPRESSION: 9,
  Z_DEFAULT_COMPRESSION: -1,
  Z_FILTERED: 1,
  Z_HUFFMAN_ONLY: 2,
  Z_RLE: 3,
  Z_FIXED: 4,
  Z_DEFAULT_STRATEGY: 0,
  Z_MIN_WINDOWBITS: 8,
  Z_MAX_WINDOWBITS: 15,
  Z_DEFAULT_WINDOWBITS: 15,
  Z_MIN_CHUNK: 64,
  Z_MAX_CHUNK: Infinity,
  Z_DEFAULT_CHUNK: 16384,
  Z_MIN_MEMLEVEL: 1,
  Z_MAX_MEMLEVEL: 9,
  Z_DEFAULT_MEMLEVEL: 8,
  Z_MIN_LEVEL: -1,
  Z_MAX_LEVEL: 9,
  Z_DEFAULT_LEVEL: -1,
  BROTLI_OPERATION_PROCESS: 0,
  BROTLI_OPERATION_FLUSH: 1,
  BROTLI_OPERATION_FINISH: 2,
  BROTLI_PARAM_MODE: 0,
  BROTLI_PARAM_QUALITY: 1,
  BROTLI_PARAM_LGWIN: 2,
  BROTLI_PARAM_SIZE_HINT: 5,
  BROTLI_MODE_GENERIC: 0,
  BROTLI_MODE_TEXT: 1,
  BROTLI_MIN_QUALITY: 0,
  BROTLI_MAX_QUALITY: 11,
  BROTLI_DEFAULT_QUALITY: 11,
};
const ERRNO = new Map([['Z_DATA_ERROR', -3], ['Z_BUF_ERROR', -5], ['Z_STREAM_ERROR', -2], ['ERR__ERROR_FORMAT_PADDING_1', -2]]);

function level(format, options) {
  if (format === 'brotli') return options?.params?.[constants.BROTLI_PARAM_QUALITY] ?? -1;
  const given = options?.level;
  if (given === undefined) return -1;
  if (typeof given !== 'number') throw invalidArgType('options.level', 'of type number', given);
  if (!(given >= -1 && given <= 9)) throw outOfRange('options.level', '>= -1 and <= 9', given);
  return given;
}

function work(format, packs, data, options) {
  const bytes = typeof data === 'string' ? encode(data, 'utf8') : view(data);
  if (bytes === undefined) throw invalidArgType('buffer', 'of type string or an instance of Buffer, TypedArray, DataView, or ArrayBuffer', data);
  if (options?.dictionary !== undefined) throw require('errors').notOffered('a dictionary');
  try {
    const out = packs ? native.compress(format, bytes, level(format, options)) : native.decompress(format, bytes, Math.min(options?.maxOutputLength ?? MOST, MOST));
    return Buffer.from(out.buffer);
  } catch (error) {
    if (ERRNO.has(error.code)) error.errno = ERRNO.get(error.code);
    if (error.code === 'ERR_BUFFER_TOO_LARGE') throw rangeError(error.code, error.message);
    throw error;
  }
}

function streamType(name, format, packs) {
  // The base is loaded with the first stream that is made.
  let type;
  return (options) => {
    if (type === undefined) {
      const { Transform } = require('stream-core');
      type = class extends Transform {
        #pieces = [];
        #length = 0;
        #options;
        bytesWritten = 0;

        constructor(given) {
          super(given);
          this.#options = given;
        }
        _transform(chunk, encoding, callback) {
          this.#length += chunk.length;
          this.bytesWritten = this.#length;
          if (this.#length > MOST) {
            callback(rangeError('ERR_BUFFER_TOO_LARGE', `a stream of zlib takes at most ${MOST} bytes`));
            return;
          }
          this.#pieces.push(chunk);
          callback();
        }
        _flush(callback) {
          let out;
          try {
            out = work(format, packs, Buffer.concat(this.#pieces), this.#options);
          } catch (error) {
            callback(error);
            return;
          }
          const size = this.#options?.chunkSize ?? constants.Z_DEFAULT_CHUNK;
          for (let i = 0; i < out.length; i += size) this.push(out.subarray(i, i + size));
          callback();
        }
        flush(kind, callback) {
          const done = typeof kind === 'function' ? kind : callback;
          if (done) queueMicrotask(done);
        }
        close(callback) {
          if (callback) this.once('close', callback);
          this.destroy();
        }
        params(newLevel, strategy, callback) {
          this.#options = { ...this.#options, level: newLevel };
          if (callback) queueMicrotask(callback);
        }
        reset() {
          this.#pieces = [];
          this.#length = 0;
        }
      };
      Object.defineProperty(type, 'name', { value: name });
    }
    return new type(options);
  };
}

for (const [name, className, format, packs] of [
  ['gzip', 'Gzip', 'gzip', true],
  ['gunzip', 'Gunzip', 'gzip', false],
  ['deflate', 'Deflate', 'deflate', true],
  ['inflate', 'Inflate', 'deflate', false],
  ['deflateRaw', 'DeflateRaw', 'deflateRaw', true],
  ['inflateRaw', 'InflateRaw', 'deflateRaw', false],
  ['unzip', 'Unzip', 'unzip', false],
  ['brotliCompress', 'BrotliCompress', 'brotli', true],
  ['brotliDecompress', 'BrotliDecompress', 'brotli', false],
]) {
  exports[`${name}Sync`] = (data, options) => work(format, packs, data, options);
  exports[name] = (data, options, callback) => {
    const [given, done] = typeof options === 'function' ? [undefined, options] : [options, callback];
    checkFunction(done, 'callback');
    let out;
    let problem = null;
    try {
      out = work(format, packs, data, given);
    } catch (error) {
      if (error.code === 'ERR_INVALID_ARG_TYPE') throw error;
      problem = error;
    }
    queueMicrotask(() => (problem === null ? done(null, out) : done(problem)));
  };
  exports[`create${className}`] = streamType(className, format, packs);
  exports[className] = function (options) {
    return exports[`create${className}`](options);
  };
}

exports.constants = Object.freeze(constants);
exports.codes = Object.freeze(Object.fromEntries(Object.entries(constants).filter(([name]) => /^Z_(OK|STREAM_END|NEED_DICT|ERRNO|.*_ERROR)$/.test(name))));
for (const [name, value] of Object.entries(constants)) if (name.startsWith('Z_')) exports[name] = value;
