// expect: TypeError
exports.call = () => ({ get then() { throw new TypeError('then'); } });
