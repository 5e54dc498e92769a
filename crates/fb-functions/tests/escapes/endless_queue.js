// expect: TooLong
exports.call = () => new Promise(() => { const again = () => queueMicrotask(again); again(); });
