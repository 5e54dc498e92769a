// expect: Failed|OutOfMemory|TooLong
exports.call = () => String((1n << 5000000n)).length;
