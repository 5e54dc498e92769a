// expect: OutOfMemory
exports.call = () => { const all = []; for (let i = 0; ; i += 1) all.push(String(i).repeat(1000)); };
