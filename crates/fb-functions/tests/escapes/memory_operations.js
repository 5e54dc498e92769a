// expect: refused
// Bodies of operations are memory too, before and while they are under way.
exports.call = async (db) => {
  const body = 'x'.repeat(4 << 20);
  const all = [];
  for (let i = 0; i < 20; i += 1) all.push(db.send({ method: 'POST', path: '/wait', body, type: 'text', ok: [200] }));
  const came = await Promise.race(all).catch((error) => String(error.message));
  return came.includes('at once') ? 'refused' : String(came);
};
