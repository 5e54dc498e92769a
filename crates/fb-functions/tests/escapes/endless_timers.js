// expect: TooLong
exports.call = () => new Promise(() => { const again = () => setImmediate(again); again(); });
