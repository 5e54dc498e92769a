// expect: clean
// A builtin that is first required while globals are replaced does not keep them.
exports.call = () => {
  globalThis.setTimeout = () => 'evil';
  Object.setPrototypeOf(globalThis, { __proto__: Object.getPrototypeOf(globalThis), clearTimeout: () => 'evil' });
  const timers = require('timers');
  Object.setPrototypeOf(globalThis, Object.getPrototypeOf(Object.getPrototypeOf(globalThis)));
  return [timers.setTimeout(() => {}, 1), timers.clearTimeout()].includes('evil') ? 'evil' : 'clean';
};
