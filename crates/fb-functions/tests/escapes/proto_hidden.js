// expect: clean
const hidden = [(function* () {}).prototype.__proto__.__proto__, [].values().__proto__, (async () => {}).__proto__, Uint8Array.__proto__.prototype, new Map().keys().__proto__, 'a'.matchAll(/a/g).__proto__, (async function* () {}).prototype.__proto__.__proto__, Error.prototype, Promise.prototype];
exports.call = () => { for (const one of hidden) { try { one.leak = 1; } catch {} } return hidden.some((one) => one.leak) ? 'leak' : 'clean'; };
