// expect: OutOfMemory
exports.call = async () => { const all = []; for (;;) all.push(new Promise(() => {}).then(() => all)); };
