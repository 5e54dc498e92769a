// What code of apps asks `v8` for. There is no V8: `serialize` writes a form of its own, which only `deserialize` reads.
const { Buffer } = require('buffer');
const { notOffered } = require('errors');

const HEAD = 'freshbase-v8-1\n';

// A value as JSON: [type, …]; objects by number, so that they may refer to each other.
function write(value, list, seen) {
  switch (typeof value) {
    case 'undefined':
      return ['u'];
    case 'bigint':
      return ['n', `${value}`];
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : ['f', Object.is(value, -0) ? '-0' : `${value}`];
    case 'string':
      return value.isWellFormed() ? value : ['w', [...Array(value.length).keys()].map((i) => value.charCodeAt(i))];
    case 'boolean':
      return value;
    case 'object':
      break;
    default:
      throw new DOMException(`${String(value)} could not be cloned.`, 'DataCloneError');
  }
  if (value === null) return null;
  const known = seen.get(value);
  if (known !== undefined) return ['r', known];
  const index = list.push(null) - 1;
  seen.set(value, index);
  const inner = (one) => write(one, list, seen);
  if (Array.isArray(value)) list[index] = ['a', value.length, Object.keys(value).map((key) => [key, inner(value[key])])];
  else if (value instanceof Date) list[index] = ['d', Number.isNaN(value.getTime()) ? null : value.getTime()];
  else if (value instanceof RegExp) list[index] = ['x', value.source, value.flags];
  else if (value instanceof Map) list[index] = ['m', [...value].map((pair) => pair.map(inner))];
  else if (value instanceof Set) list[index] = ['s', [...value].map(inner)];
  else if (value instanceof Error) list[index] = ['e', value.name, value.message];
  else if (ArrayBuffer.isView(value)) {
    const name = Buffer.isBuffer(value) ? 'Buffer' : (value[Symbol.toStringTag] ?? 'DataView');
    list[index] = ['b', name, Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')];
  } else if (value instanceof ArrayBuffer) list[index] = ['b', 'ArrayBuffer', Buffer.from(value).toString('base64')];
  else if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) throw new DOMException('#<Object> could not be cloned.', 'DataCloneError');
  else list[index] = ['o', Object.keys(value).map((key) => [key, inner(value[key])])];
  return ['r', index];
}

function read(value, list, made) {
  if (!Array.isArray(value)) return value;
  const inner = (one) => read(one, list, made);
  switch (value[0]) {
    case 'u':
      return undefined;
    case 'n':
      return BigInt(value[1]);
    case 'f':
      return Number(value[1]);
    case 'w':
      return String.fromCharCode(...value[1]);
    default:
  }
  const index = value[1];
  if (made.has(index)) return made.get(index);
  const [type, first, second] = list[index];
  const keep = (object) => {
    made.set(index, object);
    return object;
  };
  const fill = (object, pairs) => {
    for (const [key, its] of pairs) Object.defineProperty(object, key, { value: inner(its), writable: true, enumerable: true, configurable: true });
    return object;
  };
  switch (type) {
    case 'a':
      return fill(keep(new Array(first)), second);
    case 'o':
      return fill(keep({}), first);
    case 'd':
      return keep(new Date(first ?? NaN));
    case 'x':
      return keep(new RegExp(first, second));
    case 'm': {
      const map = keep(new Map());
      for (const [key, its] of first) map.set(inner(key), inner(its));
      return map;
    }
    case 's': {
      const set = keep(new Set());
      for (const its of first) set.add(inner(its));
      return set;
    }
    case 'e':
      return keep(Object.assign(new Error(second), { name: first }));
    default: {
      const bytes = new Uint8Array(Buffer.from(second, 'base64'));
      if (first === 'ArrayBuffer') return keep(bytes.buffer);
      if (first === 'Buffer') return keep(Buffer.from(bytes.buffer));
      const View = globalThis[first];
      return keep(new View(bytes.buffer));
    }
  }
}

module.exports = {
  deserialize(bytes) {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    if (!text.startsWith(HEAD)) throw new Error('Unable to deserialize cloned data.');
    const { root, list } = JSON.parse(text.slice(HEAD.length));
    return read(root, list, new Map());
  },
  getHeapStatistics: () => ({
    total_heap_size: 0,
    total_heap_size_executable: 0,
    total_physical_size: 0,
    total_available_size: 0,
    used_heap_size: 0,
    heap_size_limit: 0,
    malloced_memory: 0,
    peak_malloced_memory: 0,
    does_zap_garbage: 0,
    number_of_native_contexts: 1,
    number_of_detached_contexts: 0,
    total_global_handles_size: 0,
    used_global_handles_size: 0,
    external_memory: 0,
  }),
  serialize(value) {
    const list = [];
    const root = write(value, list, new Map());
    return Buffer.from(HEAD + JSON.stringify({ root, list }));
  },
  setFlagsFromString() {
    throw notOffered('v8.setFlagsFromString');
  },
};
