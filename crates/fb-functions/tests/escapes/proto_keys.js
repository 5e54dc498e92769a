// expect: plain
exports.call = () => { const o = JSON.parse('{"__proto__": {"admin": true}, "constructor": {"prototype": {"x": 1}}}'); return o.admin === undefined && ({}).x === undefined && Object.hasOwn(o, '__proto__') ? 'plain' : 'polluted'; };
