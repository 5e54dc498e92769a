const assert = require('assert');
const caught = (callback) => {
  try {
    callback();
    return 'fine';
  } catch (error) {
    return [error.name, error.code, error.operator, error.generatedMessage, error instanceof assert.AssertionError];
  }
};

exports.checks = () => [() => assert(true), () => assert(0), () => assert.ok(''), () => assert.equal(1, '1'), () => assert.strictEqual(1, '1'), () => assert.strictEqual(1, 2, 'own text'), () => assert.notStrictEqual(1, 1), () => assert.deepEqual({ a: 1 }, { a: '1' }), () => assert.deepStrictEqual({ a: 1 }, { a: '1' }), () => assert.deepStrictEqual([1, { b: new Map([[1, 2]]) }], [1, { b: new Map([[1, 2]]) }]), () => assert.notDeepStrictEqual({ a: 1 }, { a: 1 }), () => assert.fail('x'), () => assert.ifError(null), () => assert.ifError(new Error('e')), () => assert.match('abc', /b/), () => assert.match('abc', /x/), () => assert.doesNotMatch('abc', /b/), () => assert.strict.equal(1, '1'), () => require('assert/strict').deepEqual([1], ['1'])].map(caught);
exports.throws = () => [() => assert.throws(() => { throw new TypeError('bad'); }, TypeError), () => assert.throws(() => { throw new TypeError('bad'); }, /bad/), () => assert.throws(() => { throw new TypeError('bad'); }, { name: 'TypeError', message: 'bad' }), () => assert.throws(() => { throw new TypeError('bad'); }, { message: 'other' }), () => assert.throws(() => {}), () => assert.doesNotThrow(() => { throw new Error('x'); }), () => assert.throws(() => { throw new TypeError('bad'); }, (error) => error.message === 'bad')].map(caught);
exports.rejects = async () => {
  await assert.rejects(Promise.reject(new Error('x')), /x/);
  return assert.rejects(async () => {}).catch((error) => error.code);
};
exports.messages = () => [() => assert.strictEqual(1, 2), () => assert.throws(() => {}), () => assert.fail()].map((callback) => {
  try {
    return callback();
  } catch (error) {
    return error.message;
  }
});
