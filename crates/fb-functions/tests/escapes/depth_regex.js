// expect: RangeError|SyntaxError|fine|Failed
exports.call = () => { new RegExp('('.repeat(50000) + ')'.repeat(50000)); return 'fine'; };
