// expect: TooLong
// Answers that come together have no more time than others.
const one = async (db) => {
  await db.send({ method: 'GET', path: '/echo', ok: [200], responseType: 'text' });
  for (let n = 0; n < 1.5e6; n += 1);
};
exports.call = async (db) => {
  await Promise.all(Array.from({ length: 16 }, () => one(db)));
  return 'it went on';
};
