// Promises that were rejected while nobody listened. Whoever listens before the slice ends is in time.
const lost = new Map();
const MOST = 1000;

exports.track = function (promise, reason, handled) {
  if (handled) lost.delete(promise);
  else if (lost.size < MOST) lost.set(promise, reason);
};

exports.report = function (show) {
  for (const [promise, reason] of lost) {
    lost.delete(promise);
    show(reason);
  }
};

exports.any = () => lost.size > 0;
exports.reset = () => lost.clear();
