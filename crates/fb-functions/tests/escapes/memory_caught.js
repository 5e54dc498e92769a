// expect: OutOfMemory|still here|Failed|TooLong
exports.call = () => { for (let n = 0; n < 20; n += 1) { try { const all = []; for (;;) all.push(new Array(1000).fill({})); } catch {} } return 'still here'; };
