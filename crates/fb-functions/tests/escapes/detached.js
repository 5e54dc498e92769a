// expect: TypeError|0
exports.call = () => { const b = new ArrayBuffer(8); const v = new Uint8Array(b); b.transfer(); return String(v.length); };
