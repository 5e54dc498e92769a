// expect: clean
const find = () => Error.prepareStackTrace;
exports.call = () => {
  const seen = typeof find();
  Error.prepareStackTrace = () => 'secret';
  Object.defineProperty(globalThis, 'Error', { value: {}, configurable: true });
  Object.defineProperty(globalThis, 'Object', { value: {}, configurable: true });
  return seen === 'undefined' ? 'clean' : seen;
};
