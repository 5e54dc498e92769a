// expect: RangeError
exports.call = () => { const o = { toString() { return String(o); } }; return `${o}`; };
