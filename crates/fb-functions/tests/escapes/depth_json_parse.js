// expect: RangeError|SyntaxError|fine
exports.call = () => { JSON.parse('['.repeat(100000) + ']'.repeat(100000)); return 'fine'; };
