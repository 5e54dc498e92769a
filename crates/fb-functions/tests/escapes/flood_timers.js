// expect: Error
exports.call = () => { for (;;) setTimeout(() => {}, 1e6); };
