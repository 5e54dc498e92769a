// expect: Failed|OutOfMemory
exports.call = () => new Float64Array(2 ** 31).length;
