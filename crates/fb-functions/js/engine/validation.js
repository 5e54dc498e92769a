// Runs validation code, in a context of its own: no timers, no modules, nothing of the app, globals that cannot be changed.
const { hidden, resetStacks } = require('intrinsics');

const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;
const RESERVED = new Set(
  'break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof new null return super switch this throw true try typeof var void while with yield let static await'.split(
    ' ',
  ),
);

const compiled = new Map();
const MOST = 100;

for (const name of ['SharedArrayBuffer', 'Atomics', 'FinalizationRegistry', 'queueMicrotask', 'performance', 'gc', 'navigator']) {
  Reflect.deleteProperty(globalThis, name);
}

function text(read) {
  try {
    return String(read() ?? '').slice(0, 8192).toWellFormed();
  } catch {
    return '';
  }
}

// [json] if the code ran to its end, else [name, message, stack] of what it threw.
exports.run = function (bucket, source, input) {
  resetStacks();
  try {
    const { fields } = JSON.parse(input);
    const parameters = Object.keys(fields).map((name, i) => (NAME.test(name) && !RESERVED.has(name) ? name : `$field${i}`));
    const key = `${bucket}(${parameters.join()})`;
    let checks = compiled.get(key);
    if (checks === undefined) {
      checks = native.compile(bucket, source, parameters);
      if (compiled.size >= MOST) compiled.clear();
      compiled.set(key, checks);
    }
    const { valid, result } = native.validate(checks, fields);
    return [JSON.stringify({ valid, result }).toWellFormed()];
  } catch (error) {
    if (error === null) return [];
    return [text(() => error.name) || 'Error', text(() => error.message ?? error), text(() => error.stack)];
  }
};

exports.freeze = function () {
  for (const one of hidden()) Object.freeze(one);
  for (const name of Reflect.ownKeys(globalThis)) {
    const value = globalThis[name];
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || value === globalThis) continue;
    if (typeof value === 'function' && typeof value.prototype === 'object' && value.prototype !== null) Object.freeze(value.prototype);
    Object.freeze(value);
  }
  Object.freeze(globalThis);
};
