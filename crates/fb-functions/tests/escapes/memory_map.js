// expect: OutOfMemory
exports.call = () => { const m = new Map(); for (let i = 0; ; i += 1) m.set({ i }, i); };
