// expect: Failed
exports.call = () => { throw new Proxy(function () {}, { get() { throw new Proxy({}, this); }, getPrototypeOf() { throw 1; } }); };
