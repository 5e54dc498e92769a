// expect: RangeError
exports.call = function call() { return call() + 1; };
