// expect: clean
globalThis.cfg = 'mine';
exports.call = () => {
  const seen = cfg;
  Object.defineProperty(globalThis, 'cfg', { get: () => 'secret', set() {}, configurable: true });
  return seen === 'mine' ? 'clean' : seen;
};
