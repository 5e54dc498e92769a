// https://nodejs.org/docs/latest-v20.x/api/assert.html
const { invalidArgType } = require('errors');

class AssertionError extends Error {
  constructor(options) {
    if (options === null || typeof options !== 'object') throw invalidArgType('options', 'of type object', options);
    const { message, actual, expected, operator } = options;
    super(message !== undefined ? String(message) : describe(actual, expected, operator));
    this.generatedMessage = message === undefined;
    this.code = 'ERR_ASSERTION';
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
    Error.captureStackTrace?.(this, options.stackStartFn);
  }
}
Object.defineProperty(AssertionError.prototype, 'name', { value: 'AssertionError', writable: true, configurable: true });

const TEXTS = new Map([
  ['strictEqual', 'Expected values to be strictly equal:'],
  ['deepStrictEqual', 'Expected values to be strictly deep-equal:'],
  ['deepEqual', 'Expected values to be loosely deep-equal:'],
  ['notStrictEqual', 'Expected "actual" to be strictly unequal to:'],
  ['notDeepStrictEqual', 'Expected "actual" not to be strictly deep-equal to:'],
  ['notDeepEqual', 'Expected "actual" not to be loosely deep-equal to:'],
]);

function describe(actual, expected, operator) {
  const { inspect } = require('inspect');
  const show = (value) => inspect(value, { depth: 1000, compact: 3, breakLength: 80, sorted: true });
  const text = TEXTS.get(operator);
  if (text === undefined) return `${show(actual)} ${operator ?? 'fails'} ${show(expected)}`;
  if (operator.startsWith('not')) return `${text} ${show(expected)}`;
  const pair = `${show(actual)} !== ${show(expected)}`;
  return operator === 'strictEqual' && !pair.includes('\n') ? `${text}\n\n${pair}\n` : `${text}\n\n${show(actual)}\n\nshould ${operator === 'deepEqual' ? 'loosely deep-equal' : 'equal'}\n\n${show(expected)}`;
}

function fail(actual, expected, message, operator, stackStartFn) {
  if (message instanceof Error) throw message;
  throw new AssertionError({ actual, expected, message, operator, stackStartFn });
}

function assert(value, message) {
  ok('ok', assert, arguments.length, value, message);
}

function ok(name, self, n, value, message) {
  if (value) return;
  let text = message;
  if (n === 0) text = 'No value argument passed to `assert.ok()`';
  else if (text === undefined) text = 'The expression evaluated to a falsy value';
  if (text instanceof Error) throw text;
  const error = new AssertionError({ actual: value, expected: true, message: text, operator: '==', stackStartFn: self });
  error.generatedMessage = message === undefined;
  throw error;
}

function comparison(operator, holds) {
  return function check(actual, expected, message) {
    if (arguments.length < 2) throw Object.assign(new TypeError('The "actual" and "expected" arguments must be specified'), { code: 'ERR_MISSING_ARGS' });
    if (!holds(actual, expected)) fail(actual, expected, message, operator, check);
  };
}

const deep = (name) => (a, b) => require('deep-equal')[name](a, b);
const strict = deep('isDeepStrictEqual');
const loose = deep('isDeepEqual');
const methods = {
  equal: comparison('==', (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b))),
  notEqual: comparison('!=', (a, b) => !(a == b || (Number.isNaN(a) && Number.isNaN(b)))),
  strictEqual: comparison('strictEqual', Object.is),
  notStrictEqual: comparison('notStrictEqual', (a, b) => !Object.is(a, b)),
  deepEqual: comparison('deepEqual', loose),
  notDeepEqual: comparison('notDeepEqual', (a, b) => !loose(a, b)),
  deepStrictEqual: comparison('deepStrictEqual', strict),
  notDeepStrictEqual: comparison('notDeepStrictEqual', (a, b) => !strict(a, b)),
  match: comparison('match', (text, pattern) => typeof text === 'string' && pattern.test(text)),
  doesNotMatch: comparison('doesNotMatch', (text, pattern) => typeof text !== 'string' || !pattern.test(text)),
};

function matches(error, expected, message, self) {
  if (expected === undefined) return;
  if (typeof expected === 'function') {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Error.isPrototypeOf(expected) || expected === Error) throw error;
    if (Reflect.apply(expected, {}, [error]) === true) return;
    fail(error, expected, message ?? `The ${expected.name ? `"${expected.name}" ` : ''}validation function is expected to return "true".`, self.name, self);
  }
  if (expected instanceof RegExp) {
    if (expected.test(String(error))) return;
    fail(error, expected, message ?? `The input did not match the regular expression ${expected}. Input:\n\n'${String(error)}'\n`, self.name, self);
  }
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push('name', 'message');
  for (const key of keys) {
    const isFine = expected[key] instanceof RegExp && typeof error[key] === 'string' ? expected[key].test(error[key]) : strict(error[key], expected[key]);
    if (!isFine) fail(error, expected, message, self.name, self);
  }
}

Object.assign(assert, methods, {
  AssertionError,
  ok(value, message) {
    ok('ok', assert.ok, arguments.length, value, message);
  },
  fail(message) {
    if (message instanceof Error) throw message;
    const error = new AssertionError({ message: message ?? 'Failed', operator: 'fail', stackStartFn: assert.fail });
    error.generatedMessage = message === undefined;
    throw error;
  },
  ifError(value) {
    if (value === null || value === undefined) return;
    const text = value instanceof Error ? value.message : require('inspect').inspect(value);
    throw new AssertionError({ actual: value, expected: null, operator: 'ifError', message: `ifError got unwanted exception: ${text}` });
  },
  throws(callback, expected, message) {
    if (typeof callback !== 'function') throw invalidArgType('fn', 'of type function', callback);
    const [wanted, text] = typeof expected === 'string' ? [undefined, expected] : [expected, message];
    let thrown;
    try {
      callback();
    } catch (error) {
      thrown = { error };
    }
    if (thrown === undefined) {
      const name = wanted?.name ? ` (${wanted.name})` : '';
      fail(undefined, wanted, `Missing expected exception${name}${text ? `: ${text}` : '.'}`, 'throws', assert.throws);
    }
    matches(thrown.error, wanted, text, assert.throws);
  },
  doesNotThrow(callback, expected, message) {
    try {
      callback();
    } catch (error) {
      const text = typeof expected === 'string' ? expected : message;
      fail(error, expected, `Got unwanted exception${text ? `: ${text}` : '.'}\nActual message: "${error?.message}"`, 'doesNotThrow', assert.doesNotThrow);
    }
  },
  async rejects(given, expected, message) {
    const [wanted, text] = typeof expected === 'string' ? [undefined, expected] : [expected, message];
    let thrown;
    try {
      await (typeof given === 'function' ? given() : given);
    } catch (error) {
      thrown = { error };
    }
    if (thrown === undefined) {
      const name = wanted?.name ? ` (${wanted.name})` : '';
      fail(undefined, wanted, `Missing expected rejection${name}${text ? `: ${text}` : '.'}`, 'rejects', assert.rejects);
    }
    matches(thrown.error, wanted, text, assert.rejects);
  },
  async doesNotReject(given, expected, message) {
    try {
      await (typeof given === 'function' ? given() : given);
    } catch (error) {
      const text = typeof expected === 'string' ? expected : message;
      fail(error, expected, `Got unwanted rejection${text ? `: ${text}` : '.'}\nActual message: "${error?.message}"`, 'doesNotReject', assert.doesNotReject);
    }
  },
});

function strictAssert(value, message) {
  ok('ok', strictAssert, arguments.length, value, message);
}
assert.strict = Object.assign(strictAssert, assert, {
  deepEqual: methods.deepStrictEqual,
  equal: methods.strictEqual,
  notDeepEqual: methods.notDeepStrictEqual,
  notEqual: methods.notStrictEqual,
});
assert.strict.strict = assert.strict;
module.exports = assert;
