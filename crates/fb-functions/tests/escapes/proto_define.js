// expect: TypeError
exports.call = () => Object.defineProperty(Object.prototype, 'x', { value: 1 });
