// expect: Failed|OutOfMemory
exports.call = () => { const a = new Array(100000).fill(1); return String(Math.max.apply(null, [...a, ...a, ...a, ...a, ...a, ...a, ...a, ...a])) + new Array(2 ** 25).join('xx').length; };
