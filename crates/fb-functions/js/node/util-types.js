// What a value is, by what it can do rather than by its prototype.
const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

function has(check) {
  return (value) => {
    try {
      check(value);
      return true;
    } catch {
      return false;
    }
  };
}
const getter = (type, name) => Object.getOwnPropertyDescriptor(type.prototype, name).get;
const typedArray = (value) => (ArrayBuffer.isView(value) ? tagOf.call(value) : undefined);
const tag = (value) => Object.prototype.toString.call(value).slice(8, -1);

const mapSize = getter(Map, 'size');
const setSize = getter(Set, 'size');
const byteLength = getter(ArrayBuffer, 'byteLength');

Object.assign(exports, {
  isAnyArrayBuffer: (value) => exports.isArrayBuffer(value) || exports.isSharedArrayBuffer(value),
  isArgumentsObject: (value) => tag(value) === 'Arguments',
  isArrayBuffer: has((value) => byteLength.call(value)),
  isArrayBufferView: ArrayBuffer.isView,
  isAsyncFunction: (value) => typeof value === 'function' && ['AsyncFunction', 'AsyncGeneratorFunction'].includes(tag(value)),
  isBigIntObject: (value) => typeof value === 'object' && has((v) => BigInt.prototype.valueOf.call(v))(value),
  isBooleanObject: (value) => typeof value === 'object' && has((v) => Boolean.prototype.valueOf.call(v))(value),
  isBoxedPrimitive: (value) => typeof value === 'object' && ['isBigIntObject', 'isBooleanObject', 'isNumberObject', 'isStringObject', 'isSymbolObject'].some((name) => exports[name](value)),
  isDataView: (value) => ArrayBuffer.isView(value) && tagOf.call(value) === undefined,
  isDate: has((value) => Date.prototype.getTime.call(value)),
  isGeneratorFunction: (value) => typeof value === 'function' && ['GeneratorFunction', 'AsyncGeneratorFunction'].includes(tag(value)),
  isGeneratorObject: (value) => ['Generator', 'AsyncGenerator'].includes(tag(value)),
  isMap: has((value) => mapSize.call(value)),
  isMapIterator: (value) => tag(value) === 'Map Iterator',
  isNativeError: (value) => value instanceof Error,
  isNumberObject: (value) => typeof value === 'object' && has((v) => Number.prototype.valueOf.call(v))(value),
  isPromise: (value) => value instanceof Promise,
  isProxy: () => false,
  isRegExp: (value) => value instanceof RegExp,
  isSet: has((value) => setSize.call(value)),
  isSetIterator: (value) => tag(value) === 'Set Iterator',
  isSharedArrayBuffer: (value) => typeof SharedArrayBuffer !== 'undefined' && value instanceof SharedArrayBuffer,
  isStringObject: (value) => typeof value === 'object' && has((v) => String.prototype.valueOf.call(v))(value),
  isSymbolObject: (value) => typeof value === 'object' && has((v) => Symbol.prototype.valueOf.call(v))(value),
  isTypedArray: (value) => typedArray(value) !== undefined,
  isWeakMap: (value) => value instanceof WeakMap,
  isWeakSet: (value) => value instanceof WeakSet,
});
for (const name of ['BigInt64Array', 'BigUint64Array', 'Float32Array', 'Float64Array', 'Int8Array', 'Int16Array', 'Int32Array', 'Uint8Array', 'Uint8ClampedArray', 'Uint16Array', 'Uint32Array']) {
  exports[`is${name}`] = (value) => typedArray(value) === name;
}
