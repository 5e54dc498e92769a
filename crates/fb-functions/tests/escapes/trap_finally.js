// expect: TooLong
exports.call = () => { for (;;) { try { for (;;) {} } finally { continue; } } };
