// expect: RangeError
exports.call = () => { const o = { get x() { return this.x; } }; return o.x; };
