// Errors with Node's codes and texts.
function coded(Base) {
  return (code, message) => {
    const error = new Base(message);
    error.code = code;
    return error;
  };
}

const error = coded(Error);
const typeError = coded(TypeError);
const rangeError = coded(RangeError);

function received(value) {
  if (value === null || value === undefined) return `Received ${value}`;
  if (typeof value === 'function') return `Received function ${value.name}`;
  if (typeof value === 'object') {
    const name = value.constructor?.name;
    return name ? `Received an instance of ${name}` : 'Received [Object: null prototype] {}';
  }
  let text = typeof value === 'bigint' ? `${value}n` : typeof value === 'string' ? `'${value}'` : String(value);
  if (text.length > 28) text = `${text.slice(0, 25)}...`;
  return `Received type ${typeof value} (${text})`;
}

function grouped(value) {
  const text = String(value);
  if (typeof value !== 'bigint' && !(Number.isInteger(value) && Math.abs(value) > 2 ** 32)) return text;
  return text.replace(/\B(?=(\d{3})+$)/g, '_') + (typeof value === 'bigint' ? 'n' : '');
}

const invalidArgType = (name, expected, value) =>
  typeError('ERR_INVALID_ARG_TYPE', `The ${name.includes(' ') ? name : `"${name}" argument`} must be ${expected}. ${received(value)}`);

const outOfRange = (name, range, value) =>
  rangeError('ERR_OUT_OF_RANGE', `The value of "${name}" is out of range. It must be ${range}. Received ${grouped(value)}`);

const invalidArgValue = (name, value, reason = 'is invalid') =>
  typeError('ERR_INVALID_ARG_VALUE', `The argument '${name}' ${reason}. Received ${typeof value === 'string' ? `'${value}'` : String(value)}`);

function checkFunction(value, name) {
  if (typeof value !== 'function') throw invalidArgType(name, 'of type function', value);
}

function checkString(value, name) {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value);
}

function checkInteger(value, name, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== 'number') throw invalidArgType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

// What is thrown by an operation that was aborted.
function abortError(cause) {
  const thrown = new Error('The operation was aborted', cause === undefined ? undefined : { cause });
  thrown.name = 'AbortError';
  thrown.code = 'ABORT_ERR';
  return thrown;
}

const notOffered = (what) => error('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', `${what} is not offered here`);

module.exports = {
  abortError,
  checkFunction,
  checkInteger,
  checkString,
  error,
  invalidArgType,
  invalidArgValue,
  notOffered,
  outOfRange,
  rangeError,
  typeError,
};
