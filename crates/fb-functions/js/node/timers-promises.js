// https://nodejs.org/docs/latest-v20.x/api/timers.html#timers-promises-api
const { abortError } = require('errors');
const timers = require('timers');

function wait(start, stop, value, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal.reason));
      return;
    }
    const aborted = () => {
      stop(timer);
      reject(abortError(signal.reason));
    };
    const timer = start(() => {
      signal?.removeEventListener('abort', aborted);
      resolve(value);
    });
    signal?.addEventListener('abort', aborted, { once: true });
  });
}

exports.setTimeout = (delay, value, options) => wait((done) => timers.setTimeout(done, delay), timers.clearTimeout, value, options?.signal);
exports.setImmediate = (value, options) => wait((done) => timers.setImmediate(done), timers.clearImmediate, value, options?.signal);
exports.setInterval = async function* (delay, value, options) {
  for (;;) {
    await exports.setTimeout(delay, undefined, options);
    yield value;
  }
};
exports.scheduler = {
  wait: (delay, options) => exports.setTimeout(delay, undefined, options),
  yield: () => exports.setImmediate(),
};
