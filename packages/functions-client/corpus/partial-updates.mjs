// Partial updates.

export default {
  'all operations': async (db, { err }) => {
    const todo = await new db.Todo({ id: 'pu', name: 'pu', prio: 10, weight: 4, tags: new Set(['a']), names: ['a', 'b', 'c'], votes: new Map([['a', 1]]), list: [1], info: { a: 1 } }).save();
    const results = [];
    for (const build of [
      (u) => u.set('name', 'x'), (u) => u.inc('prio'), (u) => u.inc('prio', 5), (u) => u.increment('prio', -1), (u) => u.dec('prio'), (u) => u.decrement('prio', 2), (u) => u.mul('prio', 2), (u) => u.multiply('weight', 1.5),
      (u) => u.div('weight', 4), (u) => u.divide('weight', 0.5), (u) => u.min('prio', 3), (u) => u.atMost('prio', 2), (u) => u.max('prio', 7), (u) => u.atLeast('prio', 9), (u) => u.push('names', 'd'), (u) => u.unshift('names', 'z'),
      (u) => u.pop('names'), (u) => u.shift('names'), (u) => u.remove('names', 'b'), (u) => u.replace('names', 0, 'r'), (u) => u.add('tags', 'b'), (u) => u.remove('tags', 'a'), (u) => u.put('votes', 'b', 2),
      (u) => u.put('votes', { c: 3, d: 4 }), (u) => u.put('votes', 5, 5), (u) => u.remove('votes', 'a'), (u) => u.and('prio', 5), (u) => u.or('prio', 8), (u) => u.xor('prio', 3), (u) => u.set('tags', new Set(['q', 'r'])),
      (u) => u.set('votes', new Map([['m', 1]])), (u) => u.set('names', ['n']), (u) => u.set('due', new Date('2001-02-03T04:05:06Z')), (u) => u.set('place', new db.GeoPoint(1, 2)), (u) => u.set('done', undefined),
      (u) => u.set('address', new db.Address({ zip: 5 })), (u) => u.set('info', { b: [1] }), (u) => u.inc('prio').set('name', 'many').push('names', 'o'), (u) => u.set('next', '/db/Todo/pu'),
    ]) {
      const update = build(todo.partialUpdate());
      results.push([update.toJSON(), await err(() => update.execute().then((it) => it === todo)), todo.name, todo.prio, todo.weight, todo.names, todo.tags, todo.votes]);
    }
    return [results, todo];
  },
  'current date': async (db) => {
    const todo = await new db.Todo({ name: 'now' }).save();
    await todo.partialUpdate().currentDate('due').execute();
    const first = Math.abs(Date.now() - todo.due) < 60_000;
    await todo.partialUpdate().toNow('due').execute();
    return [first, Math.abs(Date.now() - todo.due) < 60_000];
  },
  'with initial operations': async (db) => {
    const todo = await new db.Todo({ id: 'pu-2', name: 'a', prio: 1 }).save();
    const update = todo.partialUpdate({ $inc: { prio: 2 }, $set: { name: 'b' } });
    return [update.toJSON(), update.operations, await update.set('done', true).execute()];
  },
  'of the class, by id': async (db) => {
    await new db.Todo({ id: 'pu-3', prio: 1 }).save();
    db.clear();
    const todo = await db.Todo.partialUpdate('pu-3').inc('prio', 4).execute();
    return [todo, await db.Todo.partialUpdate('pu-3', { $set: { name: 'x' } }).execute() === todo, todo.name];
  },
  'an entity as value': async (db, { err }) => {
    const todo = await new db.Todo({ id: 'pu-4', prio: 1 }).save();
    const other = await new db.Todo({ id: 'pu-5' }).save();
    return [await err(() => todo.partialUpdate().set('next', other).execute()), todo];
  },
  'what can be wrong': async (db, { err }) => {
    const todo = new db.Todo({ id: 'pu-6', prio: 1 });
    const wrong = (build) => err(() => build(todo.partialUpdate()));
    return [await wrong((u) => u.set(5, 1)), await wrong((u) => u.mul('prio', 'x')), await wrong((u) => u.div('prio')), await wrong((u) => u.min('prio', '1')), await wrong((u) => u.max('prio', null)), await wrong((u) => u.inc('prio', NaN)),
      await wrong((u) => u.inc('prio', Infinity)), await wrong((u) => u.div('prio', 0)), await wrong((u) => u.inc('prio').set('prio', 1)), await wrong((u) => u.replace('names', 0, 'a').replace('names', 0, 'b')),
      await wrong((u) => u.set('names', []).replace('names', 0, 'b')), await wrong((u) => u.addOperation('prio', '$what', 1)), await wrong((u) => u.put('votes')), await wrong((u) => u.inc('prio').execute()),
      await wrong((u) => u.rename('a', 'b').execute()), await wrong((u) => u.execute())];
  },
  'an operation that the server refuses': async (db, { err }) => {
    const todo = await new db.Todo({ name: 'pu-7', prio: 1 }).save();
    return [await err(() => todo.partialUpdate().inc('name').execute()), await err(() => todo.partialUpdate().push('nothing', 1).execute()), todo];
  },
};
