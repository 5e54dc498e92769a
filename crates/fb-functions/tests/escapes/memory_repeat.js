// expect: Failed|OutOfMemory
exports.call = () => 'x'.repeat(2 ** 29).length;
