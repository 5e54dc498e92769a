// What becomes of a thrown value. It may be anything, a Proxy with traps that throw included; whatever resists is described as far as
// it lets itself be described.
const { isAbort } = require('abort');

const MOST = 8192;

function text(read, otherwise) {
  try {
    const value = read();
    return value === undefined || value === null ? otherwise : String(value).slice(0, MOST).toWellFormed();
  } catch {
    return otherwise;
  }
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function json(value) {
  if (value === undefined) return undefined;
  const data = JSON.stringify(value);
  return data === undefined ? undefined : data.toWellFormed();
}

exports.describe = function (thrown) {
  if (!isObject(thrown)) return { name: 'Error', message: text(() => String(thrown), 'unknown'), stack: '' };
  const unreadable = '[could not be read]';
  return {
    name: text(() => thrown.name, 'Error'),
    message: text(() => thrown.message, undefined) ?? text(() => JSON.stringify(thrown), unreadable),
    stack: text(() => thrown.stack, ''),
  };
};

// Without memory this may fail too; then a shorter way remains.
exports.fail = function (thrown) {
  try {
    report(thrown);
  } catch {
    native.failNull();
  }
};

function report(thrown) {
  if (isObject(thrown) && isAbort(thrown)) {
    let data;
    try {
      data = json(thrown.data);
    } catch {
      data = undefined;
    }
    native.abort(text(() => thrown.message, ''), data);
    return;
  }
  if (thrown === null) {
    native.failNull();
    return;
  }
  const { name, message, stack } = exports.describe(thrown);
  native.fail(name, message, stack);
}
