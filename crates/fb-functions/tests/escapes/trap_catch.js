// expect: TooLong
exports.call = () => { for (;;) { try { for (;;) {} } catch { } } };
