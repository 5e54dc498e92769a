// What builtins have in hand, for tests.
module.exports = native;
