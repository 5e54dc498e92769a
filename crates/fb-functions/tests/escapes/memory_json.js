// expect: Failed|OutOfMemory|TooLong
exports.call = () => { const a = []; for (let i = 0; i < 25; i += 1) a[i] = i ? [a[i - 1], a[i - 1]] : ['x']; return JSON.stringify(a[24]).length; };
