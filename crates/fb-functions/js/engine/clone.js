// `structuredClone`, without transfer of anything but what is then copied.
// Source: HTML, section 2.7 (StructuredSerializeInternal); prototypes of other classes are lost, as there.
const ERRORS = new Map([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]));
const VIEWS = new Map(
  [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView].map(
    (type) => [type.name, type],
  ),
);
const { toString } = Object.prototype;

function refuse(value) {
  let shown;
  try {
    shown = typeof value === 'function' ? `function ${value.name}` : String(value);
  } catch {
    shown = 'a value';
  }
  throw new DOMException(`${shown} could not be cloned`, 'DataCloneError');
}

function copy(value, known) {
  if (typeof value === 'symbol' || typeof value === 'function') refuse(value);
  if (typeof value !== 'object' || value === null) return value;
  if (known.has(value)) return known.get(value);
  const keep = (made) => {
    known.set(value, made);
    return made;
  };
  if (Array.isArray(value)) return fill(keep(new Array(value.length)), value, known);
  if (ArrayBuffer.isView(value)) {
    const buffer = copy(value.buffer, known);
    const length = value instanceof DataView ? value.byteLength : value.length;
    // `Uint8Array` and the like, whatever class is derived from it.
    const type = VIEWS.get(tagOf(value));
    return keep(new type(buffer, value.byteOffset, length));
  }
  if (value instanceof ArrayBuffer) return keep(value.slice(0));
  if (value instanceof Date) return keep(new Date(value.getTime()));
  if (value instanceof RegExp) return keep(new RegExp(value.source, value.flags));
  if (value instanceof Map) {
    const made = keep(new Map());
    for (const [key, one] of [...value]) made.set(copy(key, known), copy(one, known));
    return made;
  }
  if (value instanceof Set) {
    const made = keep(new Set());
    for (const one of [...value]) made.add(copy(one, known));
    return made;
  }
  if (value instanceof Error) {
    const made = keep(new (ERRORS.get(value.name) ?? Error)(String(value.message)));
    Object.defineProperty(made, 'stack', { value: value.stack, writable: true, configurable: true });
    if (Object.hasOwn(value, 'cause')) Object.defineProperty(made, 'cause', { value: copy(value.cause, known), writable: true, configurable: true });
    return made;
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt) return keep(Object(value.valueOf()));
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) refuse(value);
  return fill(keep({}), value, known);
}

function tagOf(view) {
  return toString.call(view).slice(8, -1);
}

function fill(made, value, known) {
  for (const key of Object.keys(value)) {
    Object.defineProperty(made, key, { value: copy(value[key], known), writable: true, enumerable: true, configurable: true });
  }
  return made;
}

exports.structuredClone = function structuredClone(value) {
  if (arguments.length === 0) throw new TypeError('structuredClone wants a value');
  return copy(value, new Map());
};
