// expect: deep
let depth = 0; function down() { depth += 1; down(); }
exports.call = () => { try { down(); } catch (error) { return error instanceof RangeError && depth > 1000 ? 'deep' : String(depth); } };
