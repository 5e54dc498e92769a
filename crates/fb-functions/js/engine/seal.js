// What calls of different users share must not keep what one of them does to it: exports of builtins, and what hangs on them, are frozen
// when they have loaded.
//
// A frozen prototype would also keep objects that inherit from it from getting properties of these names by assignment, as in
// `emitter.emit = …`. An accessor lets them.
const { defineProperty, freeze, getOwnPropertyDescriptor, getPrototypeOf, isExtensible, preventExtensions } = Object;
const { ownKeys } = Reflect;
const { propertyIsEnumerable: isListed } = Object.prototype;

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

exports.makeAssignable = function (owner, key) {
  const { value, enumerable } = getOwnPropertyDescriptor(owner, key);
  defineProperty(owner, key, {
    get() {
      return value;
    },
    set(other) {
      if (this === owner) throw new TypeError(`${String(key)} belongs to all calls and cannot be replaced`);
      if (typeof this !== 'object' && typeof this !== 'function') return;
      defineProperty(this, key, { value: other, writable: true, enumerable: true, configurable: true });
    },
    enumerable,
    configurable: false,
  });
};

// Methods that libraries and authors replace in objects, or in prototypes of their own. Two closures for each and every one would be more
// than all the rest of a builtin.
const OFTEN = new Set(`constructor toString toJSON valueOf toLocaleString inspect name message code cause
  on once off emit addListener removeListener removeAllListeners prependListener listeners setMaxListeners eventNames
  read push unshift pipe unpipe pause resume destroy setEncoding wrap isPaused
  write end cork uncork setDefaultEncoding _read _write _writev _transform _flush _final _destroy _construct _undestroy
  get set header send json jsonp status sendStatus redirect type cookie writeHead setHeader getHeader removeHeader flushHeaders setTimeout render format is accepts
  handle use all post put patch delete route param request abort
  save insert update load validate ready attach
  addEventListener removeEventListener dispatchEvent then clone text arrayBuffer blob append next`.split(/\s+/));

function sealInherited(owner, keys) {
  for (let i = 0; i < keys.length; i += 1) {
    // What can be listed was assigned: it is a default that objects have their own value in place of, or else rare.
    if (!OFTEN.has(keys[i]) && (typeof keys[i] === 'symbol' || !isListed.call(owner, keys[i]))) continue;
    const { value, configurable } = getOwnPropertyDescriptor(owner, keys[i]);
    if (value !== undefined && configurable) exports.makeAssignable(owner, keys[i]);
  }
}

// Everything that can be reached from `starts`, as far as it is open. Methods of classes are not looked at: that somebody gives them
// properties of their own is no mistake, and looking at all of them would cost as much as loading them.
exports.seal = function (starts) {
  const open = starts;
  while (open.length > 0) {
    const one = open.pop();
    if (!isObject(one) || !isExtensible(one)) continue;
    const keys = ownKeys(one);
    if (typeof one === 'function') {
      // To make name and length of each constant as well would double its size.
      if (keys.length <= 2) {
        preventExtensions(one);
        continue;
      }
      if (isObject(one.prototype)) sealChain(one.prototype);
    }
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i];
      if (key === 'name' || key === 'length' || key === 'prototype') continue;
      const { value } = getOwnPropertyDescriptor(one, key);
      if (isObject(value)) open.push(value);
    }
    sealChain(getPrototypeOf(one));
    if (typeof one === 'function') sealInherited(one, keys);
    if (ArrayBuffer.isView(one)) preventExtensions(one);
    else freeze(one);
  }
};

function sealChain(start) {
  for (let one = start; one !== null && isExtensible(one); one = getPrototypeOf(one)) {
    sealInherited(one, ownKeys(one));
    freeze(one);
  }
}
