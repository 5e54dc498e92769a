// expect: TooLong
exports.call = () => { throw { get message() { return { toString() { for (;;) {} } }; } }; };
