// expect: no way
exports.call = () => { const e = eval; e('var leaked = 1; function leakedToo() {}'); return typeof e('typeof native') === 'string' && e('typeof native') === 'undefined' ? 'no way' : 'leak'; };
