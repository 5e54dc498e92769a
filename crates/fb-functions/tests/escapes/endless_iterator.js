// expect: TooLong|OutOfMemory|Failed
exports.call = () => Math.max(...{ [Symbol.iterator]() { return { next: () => ({ value: 1, done: false }) }; } });
