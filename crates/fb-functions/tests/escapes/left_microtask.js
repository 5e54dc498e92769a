// expect: clean
// A getter that runs while a lost rejection is described queues a job, which must not run in the next call.
let number = 0;
let late = 0;
exports.call = async () => {
  number += 1;
  const mine = number;
  await null;
  await null;
  Promise.reject(new (class extends Error {
    get message() {
      queueMicrotask(() => { if (number !== mine) late += 1; });
      return 'x';
    }
  })());
  return late === 0 ? 'clean' : 'late';
};
