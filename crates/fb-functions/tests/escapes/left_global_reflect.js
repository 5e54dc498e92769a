// expect: clean
exports.call = () => {
  const seen = typeof leak;
  globalThis.leak = 's';
  const value = { deleteProperty: () => true, set: () => true, ownKeys: () => [] };
  Object.defineProperty(globalThis, 'Reflect', { value, configurable: true });
  return seen === 'undefined' ? 'clean' : seen;
};
