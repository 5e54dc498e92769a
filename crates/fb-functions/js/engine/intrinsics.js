// Prototypes that no global names.
const { getPrototypeOf, hasOwn } = Object;

exports.hidden = function () {
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
};

// `Error` keeps these in the context, where freezing does not reach them.
exports.resetStacks = function () {
  if (Error.prepareStackTrace !== undefined) Error.prepareStackTrace = undefined;
  if (Error.stackTraceLimit !== 30) Error.stackTraceLimit = 30;
};

// In place of the language's. That one calls back when memory is collected, which may be in the call of somebody else, and with its
// rights; an engine need not call back ever.
exports.FinalizationRegistry = class FinalizationRegistry {
  constructor(callback) {
    if (typeof callback !== 'function') throw new TypeError('the callback must be a function');
  }
  register() {}
  unregister() {
    return false;
  }
};
