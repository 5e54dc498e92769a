// The global object.
exports.install = function (values) {
  for (const name of Object.keys(values)) {
    Object.defineProperty(globalThis, name, { value: values[name], writable: true, enumerable: false, configurable: true });
  }
  globalThis.global = globalThis;
};
exports.restore = () => true;
