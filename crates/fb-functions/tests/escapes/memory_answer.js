// expect: Failed|OutOfMemory
exports.call = () => 'x'.repeat(3 * 2 ** 20);
