// expect: none
exports.call = function () { try { return typeof exports.call.caller === 'function' || typeof arguments.callee.caller === 'function' ? 'some' : 'none'; } catch { return 'none'; } };
