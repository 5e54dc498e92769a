const util = require('util');
const { inspect, format } = util;

class Point {
  constructor() {
    this.x = 1;
    this.y = { z: [1, 2, { deep: { deeper: 1 } }] };
  }
}
class Sub extends Point {
  get size() {
    return 1;
  }
}
const circular = { name: 'c', list: [] };
circular.self = circular;
circular.list.push(circular);

exports.primitives = () => [1, -0, NaN, 'a', "it's", 'both \' and "', 'line\nbreak\t\x01', true, null, undefined, 10n, Symbol('s'), 'é😀'].map((v) => inspect(v));
exports.objects = () => [{}, { a: 1, 'b-c': 'x', 3: null, [Symbol('k')]: undefined }, new Point(), new Sub(), Object.create(null), Object.assign(Object.create(null), { a: 1 }), [], [1, 'a', [2, [3, [4, [5]]]]], [1, , 3, , ,], Object.assign([1], { extra: true })].map((v) => inspect(v));
exports.collections = () => [new Map([['a', { b: 1 }], [{ k: 1 }, [1]]]), new Set([1, 'a', {}]), new Map(), new Set(), new Uint8Array([1, 2]), new Float64Array(2), new ArrayBuffer(3), new WeakMap(), new (class Foo extends Map {})([[1, 2]])].map((v) => inspect(v));
exports.functions = () => [function named() {}, () => {}, class A {}, class B extends Point {}, async () => {}, function* gen() {}, async function* ag() {}, Object.assign(function f() {}, { a: 1 }), class {}].map((v) => inspect(v));
exports.special = () => [new Date(0), new Date(NaN), /re/gi, new Number(3), new String('abc'), new Boolean(false), Object(Symbol('q')), Object(1n), (function () { return arguments; })(1, 2), { get a() { return 1; }, set a(v) {}, get b() { return 2; }, set c(v) {} }].map((v) => inspect(v));
exports.circular = () => [inspect(circular), inspect({ x: circular })];
exports.depths = () => [0, 1, 2, null, Infinity].map((depth) => inspect({ a: { b: { c: { d: { e: 1 } } }, m: new Map([[1, { x: { y: 1 } }]]), p: new Point() } }, { depth }));
exports.lineBreaks = () => [inspect({ first: 'x'.repeat(40), second: 'y'.repeat(40), third: 'z'.repeat(20) }), inspect({ a: { b: { c: {} } }, d: [[[1]]] }), inspect(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`key${i}`, i]))), inspect({ text: `${'line one '.repeat(10)}\n${'line two '.repeat(10)}` })];
exports.custom = () => [inspect({ [inspect.custom]: (depth, options) => `custom ${depth} ${typeof options.stylize}` }), inspect({ a: { [inspect.custom]: () => ({ inner: 1 }) } }), inspect({ toString: () => 'x' })];
exports.hidden = () => inspect(Object.defineProperty({ a: 1 }, 'hidden', { value: 2, enumerable: false }), { showHidden: true });
exports.sorted = () => inspect({ b: 1, a: 2 }, { sorted: true });
exports.colors = () => inspect({ a: 1, b: 'x', c: null, d: undefined, e: true, f: Symbol('y'), g: 1n }, { colors: true });
exports.manyItems = () => [inspect(Array.from({ length: 5 }, (_, i) => i), { maxArrayLength: 2 }), inspect(new Set([1, 2, 3]), { maxArrayLength: 1 }), inspect('x'.repeat(20), { maxStringLength: 5 })];
exports.tagged = () => [inspect({ [Symbol.toStringTag]: 'Tagged', a: 1 }), inspect(Object.create({ constructor: { name: 'x' } }))];
exports.formats = () => [format('%s %d %i %f %j %o %O %%', 'a', '1.5', '2.9', '3.1', { x: 1 }, [1], { y: 2 }), format('%s', null, undefined, 5n, Symbol('z')), format('a', 'b', { c: 1 }), format(1, 2, '3'), format('%s %s', 'only'), format('100%'), format('%s', { a: { b: { c: 1 } } }), format('%s', [1, [2, [3]]]), format('%d', 5n), format('%s', class Q {}), format('%c styled', 'css'), format('%s', -0), format('%x', 1), format('%j', circular), format('%s', new Date(0)), format(), format('')];
exports.deepEqual = () => [[{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }], [{ a: 1 }, { a: '1' }], [new Set([1, { a: 1 }]), new Set([1, { a: 1 }])], [new Map([['a', [1]]]), new Map([['a', [1]]])], [NaN, NaN], [0, -0], [new Date(1), new Date(1)], [new Date(1), new Date(2)], [/a/g, /a/i], [[1, , 2], [1, undefined, 2]], [new Uint8Array([1]), new Uint8Array([1])], [new Uint8Array([1]), new Uint8Array([2])], [circular, circular], [Object.create(null), {}], [new Error('a'), new Error('a')], [new Error('a'), new Error('b')], [new Set([1]), new Set([2])], [[1], { 0: 1 }]].map(([a, b]) => util.isDeepStrictEqual(a, b));
exports.promisify = async () => [await util.promisify((a, b, cb) => cb(null, a + b))(1, 2), await util.promisify((cb) => cb(new Error('no')))().catch((e) => e.message), await util.promisify(Object.assign(() => {}, { [util.promisify.custom]: async () => 'own' }))()];
exports.callbackify = () => new Promise((resolve) => util.callbackify(async (x) => x * 2)(4, (error, value) => util.callbackify(async () => { throw null; })((problem) => resolve([error, value, problem.code, problem.reason]))));
exports.promisifyNothing = () => util.promisify(5);
exports.types = () => [util.types.isDate(new Date()), util.types.isRegExp(/a/), util.types.isPromise(Promise.resolve()), util.types.isMap(new Map()), util.types.isTypedArray(new Uint8Array()), util.types.isUint8Array(Buffer.alloc(1)), util.types.isAsyncFunction(async () => {}), util.types.isNativeError(new TypeError()), util.types.isBoxedPrimitive(Object(1)), util.types.isArrayBuffer(new ArrayBuffer(1)), util.types.isDataView(new DataView(new ArrayBuffer(1))), util.types.isGeneratorFunction(function* () {})];
exports.textCodecs = () => [new TextEncoder().encode('€a'), new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff])), new TextDecoder('utf-16le').decode(new Uint8Array([0x61, 0, 0x3d, 0xd8, 0, 0xde])), new TextDecoder('latin1').decode(new Uint8Array([0x41, 0xe9])), new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61])).length, new TextEncoder().encodeInto('a€b', new Uint8Array(3))];
exports.fatalDecoder = () => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff]));
exports.streamDecoder = () => {
  const decoder = new TextDecoder();
  return [decoder.decode(new Uint8Array([0xe2, 0x82]), { stream: true }), decoder.decode(new Uint8Array([0xac]), { stream: true }), decoder.decode()];
};
exports.unknownEncoding = () => new TextDecoder('nope');
exports.clone = () => {
  const made = structuredClone({ d: new Date(5), m: new Map([[1, { a: 1 }]]), s: new Set(['x']), r: /a/g, b: new Uint8Array([1, 2]), n: null, u: undefined, e: new RangeError('r'), o: circular });
  return [made.d, [...made.m], [...made.s], String(made.r), made.b, made.n, made.u, made.e.name, made.e.message, made.o.self === made.o];
};
exports.cloneOfFunction = () => structuredClone(() => {}).length;
exports.misc = () => [util.stripVTControlCharacters('\u001b[31mx\u001b[0m'), util.toUSVString('\ud800a'), util.inspect(util.inherits) !== ''];
