// expect: clean
exports.call = () => {
  const seen = typeof leak;
  globalThis.leak = 's';
  Object.defineProperty(globalThis, 'globalThis', { value: Object.create(Object.getPrototypeOf(globalThis)), configurable: true });
  return seen === 'undefined' ? 'clean' : seen;
};
