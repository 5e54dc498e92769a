// The global object, and the intrinsics behind it. Calls of different users share an instance, so nothing of it keeps what a call did:
// intrinsics are frozen; globals stand on a frozen object behind the global object, so that what a call adds or replaces is an own
// property of the global object, easily seen and removed.
const modules = require('modules');
const { makeAssignable } = require('seal');

const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, hasOwn, isExtensible, setPrototypeOf } = Object;
const { ownKeys } = Reflect;

// Own properties of `globalThis` that belong there: the constants that cannot be deleted, and what modules added while they loaded.
let kept = new Map();
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

// Prototypes that no global names.
function hidden() {
  const functions = [function* () {}, async () => {}, async function* () {}];
  const iterators = [[].values(), new Map().keys(), new Set().keys(), ''[Symbol.iterator](), 'a'.matchAll(/a/g)];
  iterators.push([].values().map(String), Iterator.from({ next() {} }), functions[0](), functions[2]());
  // Frames of a stack would give away the engine's own functions.
  Error.prepareStackTrace = (error, frames) => frames;
  const frame = getPrototypeOf(new Error('').stack[0]);
  Error.prepareStackTrace = undefined;
  for (const name of ['getFunction', 'getThis']) delete frame[name];
  const all = [frame];
  for (const start of [...functions, ...iterators, new Uint8Array(), Uint8Array]) {
    for (let one = getPrototypeOf(start); one !== null && one !== Object.prototype; one = getPrototypeOf(one)) {
      all.push(one);
      if (hasOwn(one, 'constructor')) all.push(one.constructor);
    }
  }
  return all;
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
      defineProperty(globalThis, name, { value, writable: true, enumerable: true, configurable: true });
    },
    enumerable: false,
    configurable: false,
  });
}

exports.install = function (values, lazy) {
  base = Object.create(Object.prototype);
  setPrototypeOf(globalThis, base);
  // Memory behind these is shared or lives longer than asked for; nothing here needs it.
  for (const name of ['SharedArrayBuffer', 'Atomics', 'gc', 'navigator']) Reflect.deleteProperty(globalThis, name);
  for (const [owner, keys] of ASSIGNABLE) for (const key of keys) makeAssignable(owner, key);
  const descriptor = { value: undefined, writable: false, enumerable: false, configurable: false };
  for (const name of ownKeys(globalThis)) {
    const value = globalThis[name];
    if (isObject(value) && value !== globalThis) {
      freeze(value);
      if (typeof value === 'function' && isObject(value.prototype)) freeze(value.prototype);
    }
    // `undefined`, `NaN` and `Infinity` stay where they are.
    if (!getOwnPropertyDescriptor(globalThis, name).configurable) continue;
    if (REPLACEABLE.has(name)) {
      replaceable(name, () => value);
    } else {
      descriptor.value = value;
      defineProperty(base, name, descriptor);
    }
    delete globalThis[name];
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
  replaceable('global', () => globalThis);
  freeze(base);
  keep();
};

function keep() {
  kept = new Map();
  for (const name of ownKeys(globalThis)) kept.set(name, globalThis[name]);
}

// A module has loaded: what it made global stays. What the call made global before that stays too; it cannot be told apart.
exports.onLoaded = function () {
  if (ownKeys(globalThis).length !== kept.size) keep();
};

// Removes what a call did to the global object; false if that cannot be done.
exports.restore = function () {
  const names = ownKeys(globalThis);
  for (let i = 0; i < names.length; i += 1) {
    const name = names[i];
    if (!kept.has(name)) {
      if (!Reflect.deleteProperty(globalThis, name)) return false;
    } else if (!Object.is(globalThis[name], kept.get(name))) {
      if (!Reflect.set(globalThis, name, kept.get(name))) return false;
    }
  }
  if (names.length < kept.size) for (const [name, value] of kept) if (!hasOwn(globalThis, name)) globalThis[name] = value;
  if (Error.prepareStackTrace !== undefined) Error.prepareStackTrace = undefined;
  if (Error.stackTraceLimit !== 30) Error.stackTraceLimit = 30;
  return isExtensible(globalThis) && getPrototypeOf(globalThis) === base;
};
