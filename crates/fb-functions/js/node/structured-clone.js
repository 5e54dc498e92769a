// Copies of values, as the structured clone algorithm makes them; nothing can be transferred.
// https://html.spec.whatwg.org/multipage/structured-data.html
const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

function refuse(value) {
  const shown = typeof value === 'symbol' ? value.toString() : typeof value === 'function' ? String(value).slice(0, 60) : '#<Object>';
  throw new DOMException(`${shown} could not be cloned.`, 'DataCloneError');
}

function copy(value, seen) {
  if (typeof value === 'symbol' || typeof value === 'function') refuse(value);
  if (typeof value !== 'object' || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const made = shell(value, seen);
  seen.set(value, made);
  if (value instanceof Map) for (const [key, its] of [...value]) made.set(copy(key, seen), copy(its, seen));
  else if (value instanceof Set) for (const its of [...value]) made.add(copy(its, seen));
  else if (isPlain(value)) for (const key of Object.keys(value)) {
    // Not by assignment: `__proto__` is a key like others.
    Object.defineProperty(made, key, { value: copy(value[key], seen), writable: true, enumerable: true, configurable: true });
  }
  return made;
}

const isPlain = (value) => Array.isArray(value) || !(
  value instanceof Date || value instanceof RegExp || value instanceof Error || value instanceof ArrayBuffer || ArrayBuffer.isView(value) || isBoxed(value)
);
const isBoxed = (value) => value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt;

function shell(value, seen) {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (ArrayBuffer.isView(value)) {
    const buffer = copy(value.buffer, seen);
    if (value instanceof DataView) return new DataView(buffer, value.byteOffset, value.byteLength);
    const type = globalThis[value[Symbol.toStringTag]];
    return new type(buffer, value.byteOffset, value.length);
  }
  if (isBoxed(value)) return Object(value.valueOf());
  if (value instanceof Error) {
    const type = ERRORS[value.name] ?? Error;
    const made = new type(value.message);
    if (Object.hasOwn(value, 'cause')) Object.defineProperty(made, 'cause', { value: copy(value.cause, seen), writable: true, configurable: true });
    if (typeof value.stack === 'string') Object.defineProperty(made, 'stack', { value: value.stack, writable: true, configurable: true });
    return made;
  }
  if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef) refuse(value);
  return {};
}

exports.structuredClone = function structuredClone(value, options) {
  if (options?.transfer?.length > 0) throw new DOMException('nothing can be transferred here', 'DataCloneError');
  return copy(value, new Map());
};
