// expect: TooLong
// Answers that come together have no more time than others.
const one = async (db) => {
  await db.send({ method: 'GET', path: '/echo', ok: [200], responseType: 'text' });
  const end = Date.now() + 120;
  while (Date.now() < end);
};
exports.call = async (db) => {
  await Promise.all(Array.from({ length: 16 }, () => one(db)));
  return 'it went on';
};
