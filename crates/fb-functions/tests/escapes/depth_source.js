// expect: RangeError|SyntaxError|fine|Failed
exports.call = () => { new Function('('.repeat(100000) + '1' + ')'.repeat(100000)); return 'fine'; };
