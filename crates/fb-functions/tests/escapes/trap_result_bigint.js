// expect: TypeError
exports.call = () => ({ big: 1n });
