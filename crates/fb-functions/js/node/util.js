// https://nodejs.org/docs/latest-v20.x/api/util.html
const { checkFunction, invalidArgType } = require('errors');
const PROMISIFIED = Symbol.for('nodejs.util.promisify.custom');

function lazy(names, module) {
  for (const name of names) {
    Object.defineProperty(exports, name, { get: () => require(module)[name], enumerable: true, configurable: true });
  }
}
lazy(['format', 'formatWithOptions', 'inspect'], 'inspect');
lazy(['isDeepStrictEqual'], 'deep-equal');
lazy(['TextDecoder', 'TextEncoder'], 'text-encoding');

exports.promisify = function promisify(original) {
  checkFunction(original, 'original');
  const custom = original[PROMISIFIED];
  if (custom !== undefined) {
    checkFunction(custom, 'util.promisify.custom');
    return Object.defineProperty(custom, PROMISIFIED, { value: custom, configurable: true });
  }
  function promised(...args) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...args, (error, value) => (error ? reject(error) : resolve(value))]);
    });
  }
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original));
  Object.defineProperty(promised, PROMISIFIED, { value: promised, configurable: true });
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
};
exports.promisify.custom = PROMISIFIED;

exports.callbackify = function callbackify(original) {
  checkFunction(original, 'original');
  return function (...args) {
    const callback = args.pop();
    checkFunction(callback, 'last argument');
    Reflect.apply(original, this, args).then(
      (value) => queueMicrotask(() => callback.call(this, null, value)),
      (reason) => {
        let error = reason;
        if (!error) {
          error = Object.assign(new Error('Promise was rejected with falsy value'), { code: 'ERR_FALSY_VALUE_REJECTION', reason });
        }
        queueMicrotask(() => callback.call(this, error));
      },
    );
  };
};

exports.inherits = function inherits(constructor, parent) {
  if (typeof constructor !== 'function') throw invalidArgType('ctor', 'of type function', constructor);
  if (typeof parent !== 'function') throw invalidArgType('superCtor', 'of type function', parent);
  if (parent.prototype === undefined) throw invalidArgType('superCtor.prototype', 'of type object', undefined);
  Object.defineProperty(constructor, 'super_', { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
};

const warned = new Set();
native.keep(() => warned.size, () => warned.clear());
exports.deprecate = function deprecate(original, message, code) {
  let isDone = false;
  return function deprecated(...args) {
    if (!isDone) {
      isDone = true;
      if (code === undefined || !warned.has(code)) {
        if (code !== undefined && warned.size < 1000) warned.add(code);
        globalThis.console?.warn(`${code === undefined ? '' : `[${code}] `}DeprecationWarning: ${message}`);
      }
    }
    return new.target ? Reflect.construct(original, args, new.target) : Reflect.apply(original, this, args);
  };
};

exports.debuglog = () => Object.assign(() => {}, { enabled: false });
exports.debug = exports.debuglog;
exports.stripVTControlCharacters = (text) => String(text).replace(/\u001b\[[0-9;]*[A-Za-z]/g, '');
exports.toUSVString = (text) => `${text}`.toWellFormed();
exports.styleText = function styleText(style, text) {
  const { colors } = require('inspect').inspect;
  return [style].flat().reduceRight((inner, name) => {
    if (colors[name] === undefined) throw require('errors').invalidArgValue('format', name, `must be one of: ${Object.keys(colors).join(', ')}`);
    return `\u001b[${colors[name][0]}m${inner}\u001b[${colors[name][1]}m`;
  }, text);
};
exports.aborted = (signal) => new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));

Object.defineProperty(exports, 'types', { get: () => require('util/types'), enumerable: true });

// Long deprecated, and still asked for.
const typed = (type) => (value) => typeof value === type;
Object.assign(exports, {
  isArray: Array.isArray,
  isBoolean: typed('boolean'),
  isBuffer: (value) => require('buffer').Buffer.isBuffer(value),
  isDate: (value) => value instanceof Date,
  isError: (value) => value instanceof Error,
  isFunction: typed('function'),
  isNull: (value) => value === null,
  isNullOrUndefined: (value) => value === null || value === undefined,
  isNumber: typed('number'),
  isObject: (value) => value !== null && typeof value === 'object',
  isPrimitive: (value) => value === null || (typeof value !== 'object' && typeof value !== 'function'),
  isRegExp: (value) => value instanceof RegExp,
  isString: typed('string'),
  isSymbol: typed('symbol'),
  isUndefined: typed('undefined'),
});
exports._extend = (target, source) => (source !== null && typeof source === 'object' ? Object.assign(target, source) : target);
