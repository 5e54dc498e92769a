// expect: OutOfMemory
const all = []; for (;;) all.push({ all });
