// expect: clean
const events = require('events');
exports.call = () => {
  const seen = events.defaultMaxListeners;
  events.defaultMaxListeners = 3;
  require('./after');
  return seen === 10 ? 'clean' : String(seen);
};
