// expect: Failed|ok|TypeError|
exports.call = () => { const b = new ArrayBuffer(8); const v = new Uint8Array(b); b.transfer(); return v; };
