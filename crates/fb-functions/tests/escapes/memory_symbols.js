// expect: OutOfMemory|TooLong
exports.call = () => { for (let i = 0; ; i += 1) Symbol.for('k' + i); };
