// expect: OutOfMemory
exports.call = () => { let all = []; for (;;) all = [all, new Array(100).fill(all)]; };
