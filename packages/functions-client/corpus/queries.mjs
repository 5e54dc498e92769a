// Queries.

const list = (found) => found.map(({ name }) => name);

export default {
  'objects to find': async (db) => {
    const friend = await new db.Todo({ id: 'q-friend', name: 'q0', prio: 0 }).save();
    for (let i = 1; i <= 6; i += 1) {
      await new db.Todo({ id: `q${i}`, name: `q${i}`, prio: i, done: i % 2 === 0, due: new Date(Date.UTC(2001, 0, i)), place: new db.GeoPoint(i, i), tags: new Set(i > 3 ? ['x', `t${i}`] : [`t${i}`]),
        names: ['a', 'b'].slice(0, i % 3), next: i === 5 ? friend : null, weight: i === 6 ? null : i / 2 }).save();
    }
    return 'done';
  },
  'resultList': async (db) => [list(await db.Todo.find().matches('name', /^q\d/).ascending('name').resultList()), await db.Todo.find().equal('name', 'nothing').resultList()],
  'comparisons': async (db) => {
    const find = (filter) => filter(db.Todo.find().matches('name', /^q\d/)).ascending('name').resultList(list);
    return Promise.all([
      (q) => q.equal('prio', 3), (q) => q.notEqual('prio', 3), (q) => q.greaterThan('prio', 3), (q) => q.greaterThanOrEqualTo('prio', 3), (q) => q.lessThan('prio', 3), (q) => q.lessThanOrEqualTo('prio', 3),
      (q) => q.eq('prio', 3), (q) => q.ne('prio', 3), (q) => q.gt('prio', 3), (q) => q.ge('prio', 3), (q) => q.lt('prio', 3), (q) => q.le('prio', 3), (q) => q.between('prio', 2, 5),
      (q) => q.in('prio', 1, 2), (q) => q.in('prio', [1, 2]), (q) => q.in('prio', [1], [2, 3]), (q) => q.notIn('prio', [1, 2]), (q) => q.containsAny('tags', 'x', 't1'), (q) => q.containsAll('tags', 'x', 't4'),
      (q) => q.isNull('weight'), (q) => q.isNotNull('weight'), (q) => q.mod('prio', 3, 1), (q) => q.size('names', 2), (q) => q.equal('next', db.Todo.ref('q-friend')), (q) => q.in('next', db.Todo.ref('q-friend')),
      (q) => q.gt('due', new Date(Date.UTC(2001, 0, 4))), (q) => q.equal('due', new Date(Date.UTC(2001, 0, 4))), (q) => q.between('due', new Date(Date.UTC(2001, 0, 2)), new Date(Date.UTC(2001, 0, 5))),
      (q) => q.withinPolygon('place', [new db.GeoPoint(0, 0), new db.GeoPoint(0, 4), new db.GeoPoint(4, 4), new db.GeoPoint(4, 0), new db.GeoPoint(0, 0)]),
      (q) => q.where({ prio: { $gt: 4 } }), (q) => q.where({ done: true, prio: 2 }), (q) => q.equal('prio', 3).gt('prio', 1), (q) => q.gt('prio', 1).lt('prio', 4), (q) => q.gt('prio', 1).equal('prio', 4),
    ].map(find));
  },
  'near': async (db) => list(await db.Todo.find().near('place', new db.GeoPoint(3, 3), 200_000).resultList()),
  'matches': async (db, { err }) => [list(await db.Todo.find().matches('name', '^q[12]').ascending('name').resultList()), list(await db.Todo.find().matches('name', /^q3/m).resultList()),
    await err(() => db.Todo.find().matches('name', /^q/i)), await err(() => db.Todo.find().matches('name', /^q/g)), await err(() => db.Todo.find().matches('name', 'q'))],
  'and, or, nor': async (db, { err }) => {
    const q = () => db.Todo.find();
    const one = q().equal('prio', 1);
    const two = q().equal('prio', 2);
    const three = q().matches('name', /^q\d/);
    return [list(await q().or(one, two).ascending('name').resultList()), list(await q().or([one, two]).descending('name').resultList()), list(await q().and(three, q().or(one, two)).ascending('prio').resultList()),
      await q().and(three, q().nor(one, two)).count(), await err(() => q().or(one)), await err(() => q().and()), await err(() => q().or(one, {})), await err(() => q().or(one, q())), q().or(one, two)];
  },
  'sort, limit, offset': async (db, { err }) => {
    const q = () => db.Todo.find().matches('name', /^q\d/);
    return [list(await q().descending('prio').limit(2).resultList()), list(await q().ascending('prio').offset(2).limit(2).resultList()), list(await q().sort({ done: 1, prio: -1 }).resultList()),
      list(await q().ascending('done').descending('prio').resultList()), list(await q().limit(0).resultList()), await err(() => q().limit(-1)), await err(() => q().offset(-1)), await err(() => q().sort('name')),
      await err(() => q().sort(null)), await err(() => q().sort([])), db.Todo.find().sort({ name: 1 }).matches === undefined];
  },
  'singleResult': async (db) => [await db.Todo.find().equal('prio', 4).singleResult(), await db.Todo.find().equal('name', 'nothing').singleResult(), await db.Todo.find().equal('prio', 4).singleResult((it) => it.name),
    (await db.Todo.find().ascending('name').offset(1).singleResult())._metadata.bucket],
  'count': async (db) => [await db.Todo.find().matches('name', /^q\d/).count(), await db.Todo.find().matches('name', /^q\d/).limit(2).offset(1).count(), await db.Todo.find().equal('prio', 4).count((n) => n + 1), typeof await db.Todo.find().count()],
  'callbacks': async (db) => [await db.Todo.find().equal('prio', 3).resultList(list), await db.Todo.find().equal('prio', 3).resultList({ depth: 1 }, list), await db.Todo.find().equal('prio', 3).singleResult({}, (it) => it.name),
    await db.Todo.find().where({ $nonsense: 1 }).resultList(list, (error) => error.status), await db.Todo.find().where({ $nonsense: 1 }).count(null, (error) => error.status)],
  'depth': async (db) => {
    const [found] = await db.Todo.find().equal('name', 'q5').resultList({ depth: 1 });
    const name = found.next.name;
    db.clear();
    const one = await db.Todo.find().equal('name', 'q5').singleResult({ depth: true });
    return [name, one.next.name];
  },
  'results are the objects that the db knows': async (db) => {
    const todo = await db.Todo.load('q1');
    todo.name = 'changed here';
    const found = await db.Todo.find().equal('prio', 1).singleResult();
    return [found === todo, todo.name];
  },
  'subclasses': async (db) => {
    await new db.Task({ id: 'qt', name: 'qt', prio: 77 }).save();
    db.clear();
    const [found] = await db.Todo.find().equal('prio', 77).resultList();
    return [found, await db.Task.find().equal('prio', 77).count()];
  },
  'long queries go into a body': async (db) => {
    const many = Array.from({ length: 600 }, (_, i) => i + 3);
    return [list(await db.Todo.find().in('prio', many).ascending('name').matches('name', /^q\d/).resultList()), (await db.Todo.find().in('prio', many).singleResult({}))._metadata.bucket,
      await db.Todo.find().in('prio', many).matches('name', /^q\d/).count()];
  },
  'about as long as fits': async (db) => {
    const results = [];
    for (let i = 1930; i <= 1990; i += 5) results.push(await db.Todo.find().equal('name', 'x'.repeat(i)).count(), (await db.Todo.find().equal('name', 'x'.repeat(i)).resultList()).length);
    return results;
  },
  'what can be wrong': async (db, { err }) => [await err(() => db.Todo.find().equal(5, 1)), await err(() => db.Todo.find().equal(undefined, 1)), await err(() => db.Todo.find().where({ prio: { $what: 1 } }).resultList()),
    await err(() => db.Todo.find().equal('nothing', 1).resultList()), await err(() => db.createQueryBuilder(null).resultList()), await err(() => db.createQueryBuilder(undefined).count())],
  'queries as JSON': (db) => [db.Todo.find().equal('a', 1).gt('b', new Date(0)).in('c', [1]), db.Todo.find().where({ a: 1 }).limit(3).order, JSON.stringify(db.Todo.find().isNotNull('a').near('p', new db.GeoPoint(1, 2), 3))],
  'users of classes': async (db) => [db.Todo.find().resultClass === db.Todo.type, db.Todo.find().equal('a', 1) instanceof db.query.Filter, db.Todo.find() instanceof db.query.Builder, db.query.Query.MAX_URI_SIZE],
};
