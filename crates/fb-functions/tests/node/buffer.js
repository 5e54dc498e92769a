const { Buffer } = require('buffer');

const TEXTS = ['', 'a', 'abc', 'grün', '€uro', '😀 smil', '\ud800 lone', 'a\0b', 'x'.repeat(200), '日本語'.repeat(40)];
const ENCODINGS = ['utf8', 'utf16le', 'ucs2', 'latin1', 'binary', 'ascii', 'base64', 'base64url', 'hex', 'UTF-8', 'Hex'];
const BYTES = [[], [0], [255, 254, 253], [0xe2, 0x82], [0xf0, 0x9f, 0x98], [0xc3, 0x28, 0x61], [0xed, 0xa0, 0x80, 0x41], [1, 2, 3, 4, 5, 6, 7]];
const error = (callback) => {
  try {
    return callback();
  } catch (thrown) {
    return { name: thrown.name, code: thrown.code, message: thrown.message };
  }
};

// Node makes nothing of Base64 with characters beyond the first plane.
exports.encodesEveryEncoding = () => TEXTS.filter((text) => !text.includes('😀')).map((text) => ENCODINGS.map((encoding) => Buffer.from(text, encoding)));
exports.decodesEveryEncoding = () => BYTES.map((bytes) => ENCODINGS.map((encoding) => Buffer.from(bytes).toString(encoding)));
exports.roundTrips = () => ENCODINGS.map((encoding) => {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  return Buffer.from(all.toString(encoding), encoding);
});
exports.byteLengths = () => TEXTS.map((text) => ENCODINGS.map((encoding) => Buffer.byteLength(text, encoding)));
exports.lenientBase64 = () => ['YQ==', 'YQ', 'Y Q = =', 'YWI=YWI=', 'a-_b', 'a+/b', '****YQ', 'YQ\n==', '=YQ'].map((text) => Buffer.from(text, 'base64'));
exports.lenientHex = () => ['abc', 'abxxcd', 'AB cd', 'zz', '0a0B'].map((text) => Buffer.from(text, 'hex'));
exports.from = () => [Buffer.from([1, 257, -1, '3', 'x', 2.9]), Buffer.from(new Uint16Array([1, 300])), Buffer.from(Buffer.from('abc')), Buffer.from({ type: 'Buffer', data: [1, 2] }), Buffer.from({ length: 2, 0: 5, 1: 6 }), Buffer.from(new String('boxed')), Buffer.from(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)];
exports.fromErrors = () => [5, null, undefined, {}, Symbol('x'), true, () => {}].map((value) => error(() => Buffer.from(value)));
exports.fromUnknownEncoding = () => error(() => Buffer.from('a', 'nope'));
exports.alloc = () => [Buffer.alloc(3), Buffer.alloc(5, 'ab'), Buffer.alloc(4, 'YQ==', 'base64'), Buffer.alloc(3, 7), Buffer.allocUnsafe(2).length, Buffer.alloc(4, Buffer.from([1, 2]))];
exports.allocErrors = () => ['1', -1, NaN, undefined].map((size) => error(() => Buffer.alloc(size)));
exports.concat = () => [Buffer.concat([]), Buffer.concat([Buffer.from('a'), Buffer.from('bc')]), Buffer.concat([Buffer.from('abc')], 2), Buffer.concat([Buffer.from('abc')], 5), error(() => Buffer.concat(['a'])), error(() => Buffer.concat('a'))];
exports.compare = () => [Buffer.compare(Buffer.from('a'), Buffer.from('b')), Buffer.from('abc').compare(Buffer.from('abcd')), Buffer.from('abc').equals(new Uint8Array([97, 98, 99])), Buffer.from('abcdef').compare(Buffer.from('xxcdxx'), 2, 4, 2, 4), error(() => Buffer.from('a').equals('a'))];
exports.isThings = () => [Buffer.isBuffer(Buffer.alloc(0)), Buffer.isBuffer(new Uint8Array(1)), Buffer.isEncoding('utf8'), Buffer.isEncoding('UTF-16LE'), Buffer.isEncoding('x'), Buffer.isEncoding(''), Buffer.isEncoding(1)];
exports.slices = () => {
  const all = Buffer.from('abcdef');
  const part = all.slice(1, 3);
  part[0] = 0x5a;
  return [all.toString(), all.slice(-2), all.subarray(2, -1), all.slice(4, 2), all.slice('1', '3'), part instanceof Buffer, all.slice(2).buffer === all.buffer];
};
exports.indexOf = () => {
  const buffer = Buffer.from('this is a buffer, this too');
  return [buffer.indexOf('is'), buffer.indexOf('is', 3), buffer.indexOf('this', -10), buffer.indexOf(98), buffer.indexOf(Buffer.from('buffer')), buffer.indexOf('nope'), buffer.indexOf(''), buffer.indexOf('', 100), buffer.lastIndexOf('this'), buffer.lastIndexOf('this', 5), buffer.lastIndexOf('is', -20), buffer.includes('too'), buffer.includes('this', 20), buffer.lastIndexOf(''), Buffer.from('abab', 'utf16le').indexOf('b', 0, 'utf16le'), buffer.indexOf(99.99), buffer.indexOf('is', NaN), error(() => buffer.indexOf({}))];
};
exports.fill = () => [Buffer.alloc(5).fill('abc'), Buffer.alloc(5).fill('é'), Buffer.alloc(5).fill('ab', 1, 4), Buffer.alloc(4).fill(0x222), Buffer.alloc(4).fill('0a', 'hex'), Buffer.alloc(3).fill(''), error(() => Buffer.alloc(2).fill('a', 5))];
exports.copy = () => {
  const target = Buffer.alloc(5);
  return [Buffer.from('abc').copy(target, 1), target, Buffer.from('xyzxyz').copy(target, 3, 1), target.toString('latin1'), Buffer.from('abc').copy(target, 9), error(() => Buffer.from('a').copy(target, 0, 5))];
};
exports.write = () => {
  const target = Buffer.alloc(6);
  return [target.write('ab'), target.write('€', 4), target, target.write('zz', 1, 1), target.write('ffee', 2, 'hex'), target, target.write('h', 0, 'utf16le'), error(() => target.write('a', 9)), error(() => target.write(5))];
};
exports.swaps = () => [Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).swap16(), Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).swap32(), Buffer.from([1, 2, 3, 4, 5, 6, 7, 8]).swap64(), error(() => Buffer.alloc(3).swap16())];
exports.json = () => [JSON.stringify(Buffer.from('ab')), Buffer.from('hällo').toString('utf8', 1, 3), Buffer.from('abc').toString('utf8', -3, 99), error(() => Buffer.from('a').toString('x'))];

const KINDS = ['UInt8', 'Int8', 'UInt16LE', 'UInt16BE', 'Int16LE', 'Int16BE', 'UInt32LE', 'UInt32BE', 'Int32LE', 'Int32BE', 'FloatLE', 'FloatBE', 'DoubleLE', 'DoubleBE', 'BigInt64LE', 'BigInt64BE', 'BigUInt64LE', 'BigUInt64BE'];
exports.reads = () => KINDS.map((kind) => Buffer.from([0xff, 0x80, 0x7f, 1, 2, 0xfe, 3, 0x90, 9])[`read${kind}`](1));
exports.readErrors = () => KINDS.flatMap((kind) => [1.5, 9, -1, 'a'].map((at) => error(() => Buffer.alloc(8)[`read${kind}`](at))));
exports.readsOfEmpty = () => KINDS.map((kind) => error(() => Buffer.alloc(0)[`read${kind}`]()));
exports.writes = () => KINDS.map((kind) => {
  const target = Buffer.alloc(9);
  const value = kind.startsWith('Big') ? 123456789n : kind.startsWith('F') || kind.startsWith('D') ? -1.5e10 : 100;
  return [target[`write${kind}`](value, 1), target];
});
exports.writeErrors = () => KINDS.filter((kind) => !/Float|Double/.test(kind)).flatMap((kind) => {
  const big = kind.startsWith('Big');
  return [big ? 2n ** 64n : 2 ** 33, big ? -(2n ** 65n) : -(2 ** 33)].map((value) => error(() => Buffer.alloc(8)[`write${kind}`](value)));
});
exports.odd = () => [1, 2, 3, 4, 5, 6].map((size) => {
  const target = Buffer.alloc(6);
  target.writeIntBE(-5, 0, size);
  return [target, target.readIntBE(0, size), target.readUIntLE(0, size), Buffer.alloc(6).writeUIntLE(77, 0, size), error(() => target.writeUIntBE(2 ** 48, 0, size))];
});
exports.oddErrors = () => [0, 7, 1.5, undefined].map((size) => error(() => Buffer.alloc(8).readIntLE(0, size)));
exports.base64Functions = () => [btoa('hällo'.slice(0, 3)), atob('aGk='), atob(' a G k '), error(() => btoa('€')).name, error(() => atob('a')).name];
exports.blobs = async () => {
  const blob = new Blob(['a€', new Uint8Array([65, 66]), new Blob(['z'])], { type: 'Text/Plain' });
  const file = new (require('buffer').File)(['x'], 'n.txt', { lastModified: 5 });
  return [blob.size, blob.type, await blob.text(), await blob.slice(1, -1).arrayBuffer(), file.name, file.lastModified, String(blob)];
};
exports.typedArrayMethods = () => [Buffer.from([3, 1, 2]).map((x) => x * 2) instanceof Buffer, Buffer.from([3, 1, 2]).sort(), Buffer.from('abc').reverse().toString(), [...Buffer.from('ab').entries()], Buffer.of(1, 2), Buffer.from([1, 2, 3]).filter((x) => x > 1)];
exports.inspected = () => [require('util').inspect(Buffer.from('abc')), require('util').inspect({ b: Buffer.alloc(60) })];
exports.newBuffer = () => [Buffer.prototype.constructor === Buffer, Buffer.name, Object.prototype.toString.call(Buffer.alloc(1))];
