// expect: Failed|OutOfMemory|TooLong
exports.call = () => { const a = new Array(2 ** 32 - 1); const b = [...a.slice(0, 2 ** 31)]; return 'x'; };
