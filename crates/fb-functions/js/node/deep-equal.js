// Whether two values look the same, as `assert.deepEqual` and `assert.deepStrictEqual` see it.
const TypedArray = Object.getPrototypeOf(Uint8Array);

const tag = (value) => Object.prototype.toString.call(value);
const enumerable = (value) => Object.getOwnPropertySymbols(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
const isObject = (value) => typeof value === 'object' && value !== null;

function equal(a, b, strict, seen) {
  if (strict ? Object.is(a, b) : a == b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (tag(a) !== tag(b)) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (!sameContent(a, b, strict)) return false;
  const known = seen.get(a);
  if (known !== undefined) return known === b;
  seen.set(a, b);
  const result = sameMembers(a, b, strict, seen);
  seen.delete(a);
  return result;
}

// What is not a property.
function sameContent(a, b, strict) {
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp) return String(a) === String(b) && a.lastIndex === b.lastIndex;
  if (a instanceof Error) return a.name === b.name && a.message === b.message && (!strict || equal(a.cause, b.cause, strict, new Map()));
  if (a instanceof ArrayBuffer) return sameContent(new Uint8Array(a), new Uint8Array(b), strict);
  if (ArrayBuffer.isView(a)) {
    if (a.byteLength !== b.byteLength) return false;
    if (a instanceof TypedArray && !strict) return a.length === b.length && a.every((value, i) => value == b[i]);
    if (a instanceof Float32Array || a instanceof Float64Array) return a.every((value, i) => Object.is(value, b[i]));
    const [x, y] = [a, b].map((view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return x.every((byte, i) => byte === y[i]);
  }
  if (a instanceof Number || a instanceof String || a instanceof Boolean || a instanceof BigInt || a instanceof Symbol) {
    return Object.is(a.valueOf(), b.valueOf());
  }
  if (a instanceof Promise || a instanceof WeakMap || a instanceof WeakSet) return false;
  return true;
}

function sameMembers(a, b, strict, seen) {
  const skips = ArrayBuffer.isView(a);
  const keysA = skips ? [] : Object.keys(a);
  const keysB = skips ? [] : Object.keys(b);
  if (keysA.length !== keysB.length || (Array.isArray(a) && a.length !== b.length)) return false;
  const keys = strict ? [...keysA, ...enumerable(a)] : keysA;
  if (strict && enumerable(a).length !== enumerable(b).length) return false;
  for (const key of keys) {
    if (!Object.prototype.propertyIsEnumerable.call(b, key) || !equal(a[key], b[key], strict, seen)) return false;
  }
  if (a instanceof Set) return sameSet(a, b, strict, seen);
  if (a instanceof Map) return sameMap(a, b, strict, seen);
  return true;
}

function sameSet(a, b, strict, seen) {
  if (a.size !== b.size) return false;
  const rest = new Set([...b].filter((value) => !a.has(value)));
  for (const value of a) {
    if (b.has(value)) continue;
    if (strict && !isObject(value)) return false;
    const found = [...rest].find((other) => equal(value, other, strict, seen));
    if (found === undefined && !rest.has(undefined)) return false;
    rest.delete(found);
  }
  return rest.size === 0;
}

function sameMap(a, b, strict, seen) {
  if (a.size !== b.size) return false;
  const rest = new Map(b);
  for (const [key, value] of a) {
    if (rest.has(key)) {
      if (equal(value, rest.get(key), strict, seen)) {
        rest.delete(key);
        continue;
      }
      if (strict && !isObject(key)) return false;
    } else if (strict && !isObject(key)) {
      return false;
    }
    const found = [...rest].find(([other, its]) => equal(key, other, strict, seen) && equal(value, its, strict, seen));
    if (found === undefined) return false;
    rest.delete(found[0]);
  }
  return true;
}

exports.isDeepStrictEqual = (a, b) => equal(a, b, true, new Map());
exports.isDeepEqual = (a, b) => equal(a, b, false, new Map());
