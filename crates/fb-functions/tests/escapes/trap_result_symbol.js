// expect: TypeError
exports.call = () => Symbol('x');
