// expect: clean
class Mine extends Array { static get [Symbol.species]() { return function () { return new Proxy([], {}); }; } }
exports.call = () => { new Mine(1, 2, 3).map((x) => x); return Array.isArray([1].map((x) => x)) ? 'clean' : 'leak'; };
