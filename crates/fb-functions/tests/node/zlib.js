const zlib = require('zlib');
const { promisify } = require('util');

const TEXTS = ['', 'a', 'hello hello hello', 'x'.repeat(5000), '€uro '.repeat(300)];
const PAIRS = [['gzip', 'gunzip'], ['deflate', 'inflate'], ['deflateRaw', 'inflateRaw'], ['gzip', 'unzip'], ['deflate', 'unzip'], ['brotliCompress', 'brotliDecompress']];
// What real zlib wrote.
const GZIPPED = 'H4sIAAAAAAAAA8tIzcnJV8hAkACAiPnlEQAAAA==';
const DEFLATED = 'eJzLSM3JyVfIQJAAOi4GfQ==';
const BROTLI = 'GxAA+I2Ubt5EVYaWbCBvAU8cYBw=';
const code = (callback) => {
  try {
    return String(callback());
  } catch (error) {
    return [error.name, error.code, error.errno];
  }
};

exports.roundTrips = () => PAIRS.map(([pack, unpack]) => TEXTS.map((text) => zlib[`${unpack}Sync`](zlib[`${pack}Sync`](text)).toString() === text));
exports.promised = async () => Promise.all(PAIRS.map(async ([pack, unpack]) => (await promisify(zlib[unpack])(await promisify(zlib[pack])('text'))).toString()));
exports.reads = () => [code(() => zlib.inflateSync(zlib.deflateSync('abc', { level: 0 }))), code(() => zlib.gunzipSync(Buffer.concat([zlib.gzipSync('a'), zlib.gzipSync('b')])))];
exports.damaged = () => [code(() => zlib.gunzipSync('no gzip')), code(() => zlib.inflateSync(Buffer.from([1, 2, 3, 4]))), code(() => zlib.gunzipSync(zlib.gzipSync('hello').subarray(0, 12))), code(() => zlib.inflateSync(zlib.deflateSync('hello').subarray(0, 5))), code(() => zlib.brotliDecompressSync(Buffer.from([255, 255, 255])))[0], code(() => zlib.gunzipSync(''))];
exports.bombs = () => PAIRS.map(([pack, unpack]) => code(() => zlib[`${unpack}Sync`](zlib[`${pack}Sync`]('x'.repeat(5000)), { maxOutputLength: 100 })));
exports.streams = async () => Promise.all(PAIRS.map(async ([pack, unpack]) => {
  const name = (n) => `create${n[0].toUpperCase()}${n.slice(1)}`;
  const all = [];
  for await (const chunk of require('stream').Readable.from([Buffer.from('ab'), Buffer.from('cd')]).pipe(zlib[name(pack)]()).pipe(zlib[name(unpack)]())) all.push(chunk);
  return Buffer.concat(all).toString();
}));
exports.callbackError = () => new Promise((resolve) => zlib.gunzip('nope', (error, value) => resolve([error.code, error.errno, value])));
exports.badInput = () => zlib.gzipSync(5);
exports.constants = () => [zlib.constants.Z_BEST_COMPRESSION, zlib.constants.BROTLI_PARAM_QUALITY, zlib.constants.Z_DEFAULT_COMPRESSION];
exports.recorded = () => [zlib.gunzipSync(Buffer.from(GZIPPED, 'base64')), zlib.inflateSync(Buffer.from(DEFLATED, 'base64')), zlib.brotliDecompressSync(Buffer.from(BROTLI, 'base64'))].map(String);
