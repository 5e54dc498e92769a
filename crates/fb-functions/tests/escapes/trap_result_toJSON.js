// expect: TooLong
exports.call = () => ({ toJSON() { for (;;) {} } });
