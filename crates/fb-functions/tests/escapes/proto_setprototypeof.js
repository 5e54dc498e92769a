// expect: TypeError
exports.call = () => Object.setPrototypeOf(Array.prototype, { leak: 1 });
