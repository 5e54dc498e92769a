// expect: Failed|OutOfMemory|TooLong
exports.call = () => { let n = 3n; for (;;) n *= n; };
