// expect: TooLong|OutOfMemory|Failed
exports.call = () => new Promise(() => { const again = () => Promise.resolve().then(again); again(); });
