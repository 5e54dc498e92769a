// The global object, and the intrinsics behind it. Calls of different users share an instance, so nothing of it keeps what a call did:
// intrinsics are frozen; globals stand on a frozen object behind the global object, so that what a call adds or replaces is an own
// property of the global object, easily seen and removed.
const modules = require('modules');
const { makeAssignable } = require('seal');
const { FinalizationRegistry, hidden, resetStacks } = require('intrinsics');

const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, is, isExtensible, setPrototypeOf } = Object;
const { deleteProperty, ownKeys } = Reflect;
const realm = globalThis;

// Own properties of the global object that belong there, as descriptors: the constants that cannot be deleted, and what modules added
// while they loaded.
const kept = new Map();
let base;

// --- Intrinsics ---------------------------------------------------------------------------------------------------------------------

// What objects that inherit from these are given by assignment.
const ASSIGNABLE = [
  [Object.prototype, ownKeys(Object.prototype).filter((key) => key !== '__proto__')],
  [Function.prototype, ['constructor', 'toString', 'call', 'apply', 'bind']],
  [Array.prototype, ['constructor', 'toString']],
  [Date.prototype, ['constructor', 'toString', 'toJSON', 'valueOf']],
  [Map.prototype, ['constructor']],
  [Set.prototype, ['constructor']],
  [Promise.prototype, ['then', 'catch', 'finally']],
];
for (const type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError]) {
  ASSIGNABLE.push([type.prototype, ['constructor', 'name', 'message', 'toString'].filter((key) => hasOwn(type.prototype, key))]);
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

// --- The global object --------------------------------------------------------------------------------------------------------------

// Globals of the language that libraries replace by their own.
const REPLACEABLE = new Set(['Promise', 'Symbol', 'Map', 'Set', 'WeakMap', 'WeakSet', 'queueMicrotask', 'performance', 'structuredClone']);

function replaceable(name, get) {
  defineProperty(base, name, {
    get,
    set(value) {
      defineProperty(realm, name, { value, writable: true, enumerable: true, configurable: true });
    },
    enumerable: false,
    configurable: false,
  });
}

exports.install = function (values, lazy) {
  base = Object.create(Object.prototype);
  setPrototypeOf(realm, base);
  // Memory behind these is shared or lives longer than asked for; nothing here needs it.
  for (const name of ['SharedArrayBuffer', 'Atomics', 'FinalizationRegistry', 'gc', 'navigator']) deleteProperty(realm, name);
  values.FinalizationRegistry = FinalizationRegistry;
  for (const [owner, keys] of ASSIGNABLE) for (const key of keys) makeAssignable(owner, key);
  const descriptor = { value: undefined, writable: false, enumerable: false, configurable: false };
  for (const name of ownKeys(realm)) {
    const value = realm[name];
    if (isObject(value) && value !== realm) {
      freeze(value);
      if (typeof value === 'function' && isObject(value.prototype)) freeze(value.prototype);
    }
    // `undefined`, `NaN` and `Infinity` stay where they are.
    if (!getOwnPropertyDescriptor(realm, name).configurable) continue;
    if (REPLACEABLE.has(name)) {
      replaceable(name, () => value);
    } else {
      descriptor.value = value;
      defineProperty(base, name, descriptor);
    }
    delete realm[name];
  }
  for (const one of hidden()) freeze(one);
  for (const name of ownKeys(values)) {
    const value = values[name];
    freeze(value);
    if (typeof value === 'function' && isObject(value.prototype)) freeze(value.prototype);
    replaceable(name, () => value);
  }
  for (const [name, builtin, property] of lazy) {
    let value;
    replaceable(name, () => (value ??= modules.builtin(builtin)[property]));
  }
  replaceable('global', () => realm);
  freeze(base);
  for (const name of ownKeys(realm)) kept.set(name, getOwnPropertyDescriptor(realm, name));
};

const isSame = (a, b) =>
  a.get === b.get && a.set === b.set && is(a.value, b.value) && a.writable === b.writable && a.enumerable === b.enumerable;

// Nobody can change it, and it cannot be removed.
const isFixed = ({ configurable, writable }) => !configurable && writable === false;

// Own properties of the global object when the outermost module began to load.
let before = null;

// A module begins to load.
exports.onLoading = function () {
  before = new Map();
  for (const name of ownKeys(realm)) before.set(name, getOwnPropertyDescriptor(realm, name));
};

// It has loaded: what it made global stays, but not what the call had made global until then.
exports.onLoaded = function () {
  for (const name of ownKeys(realm)) {
    const now = getOwnPropertyDescriptor(realm, name);
    const then = before.get(name);
    if (then === undefined || !isSame(now, then)) kept.set(name, now);
  }
  for (const name of before.keys()) if (!hasOwn(realm, name)) kept.delete(name);
  before = null;
};

// Runs `load` with the engine's own globals in place, so that builtins are for no call what another one made of them.
exports.withOwnGlobals = function (load) {
  const replaced = [];
  for (const name of ownKeys(realm)) {
    const own = getOwnPropertyDescriptor(realm, name);
    if (!hasOwn(base, name) || !own.configurable) continue;
    replaced.push(name, own);
    delete realm[name];
  }
  const behind = getPrototypeOf(realm);
  if (behind !== base) setPrototypeOf(realm, base);
  try {
    return load();
  } finally {
    if (behind !== base) setPrototypeOf(realm, behind);
    for (let i = 0; i < replaced.length; i += 2) defineProperty(realm, replaced[i], replaced[i + 1]);
  }
};

// Removes what a call did to the global object; false if that cannot be done.
exports.restore = function () {
  const names = ownKeys(realm);
  for (let i = 0; i < names.length; i += 1) {
    const name = names[i];
    const then = kept.get(name);
    if (then === undefined) {
      if (!deleteProperty(realm, name)) return false;
    } else if (!isFixed(then) && !isSame(getOwnPropertyDescriptor(realm, name), then)) {
      if (!Reflect.defineProperty(realm, name, then)) return false;
    }
  }
  if (names.length < kept.size) for (const [name, then] of kept) if (!hasOwn(realm, name)) defineProperty(realm, name, then);
  resetStacks();
  return isExtensible(realm) && getPrototypeOf(realm) === base;
};
