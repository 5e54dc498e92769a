// expect: OutOfMemory
exports.call = () => { const o = {}; for (let i = 0; ; i += 1) o['k' + i] = i; };
