// expect: TooLong
exports.call = () => ({ then(resolve) { resolve(exports.call()); } });
