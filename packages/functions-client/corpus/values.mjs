// Types of fields, JSON, rules.

const loop = async (db, show, values) => {
  const todo = await new db.Todo(values).save({ refresh: true });
  const shown = show(todo);
  db.clear();
  return [shown, await db.Todo.load(todo.id)];
};

export default {
  'all types there and back': async (db, { show }) => {
    const friend = await new db.Todo({ name: 'friend', id: 'friend' }).save();
    const [saved, loaded] = await loop(db, show, {
      name: 'ä€😀', done: true, prio: -5, weight: 1.25, due: new Date('2001-02-03T04:05:06.789Z'), day: new Date('2001-02-03'), at: new Date('1970-01-01T12:13:14.5Z'),
      place: new db.GeoPoint(53.5, 10), info: { a: [1, { b: null }] }, list: [1, 'x', null, { y: [] }], picture: new db.File('/file/www/a b.png'), next: friend,
      address: new db.Address({ zip: 20095, street: 's', tenant: friend, since: new Date('2001-01-01T00:00:00Z') }),
      tags: new Set(['a', 'b']), names: ['x', null, 'y'], votes: new Map([['k', 1], ['l', null]]), friends: [friend, friend], fans: new Set([friend]),
      pairs: new Map([[friend, friend]]), days: [new Date('2001-02-03')], moments: new Set([new Date('2001-02-03T04:05:06Z')]), homes: [new db.Address({ zip: 1 }), null],
    });
    return [saved, loaded, loaded.due, loaded.day, loaded.at, loaded.place instanceof db.GeoPoint, loaded.picture.id, loaded.picture.isMetadataLoaded, loaded.tags, loaded.votes,
      loaded.friends[0] === loaded.next, loaded.address.constructor === db.Address.type, loaded.pairs.get(loaded.next) === loaded.next, loaded.days, loaded.moments];
  },
  'values of wrong types': (db) => new db.Todo({
    name: 5, done: 'yes', prio: '7', weight: '1.5', due: '2001-02-03', day: 5, at: 'x', place: { latitude: 1, longitude: 2 }, info: [1], list: { a: 1 }, picture: '/file/www/x',
    next: { id: '/db/Todo/1' }, owner: 'x', address: { zip: 1 }, tags: ['a'], names: new Set(['a']), votes: { a: 1 }, friends: 'x', homes: [{ zip: 1 }], days: ['2001-01-01'],
  }).toJSON(),
  'undefined and null': (db) => new db.Todo({ name: undefined, done: null, prio: undefined, tags: null, names: undefined, info: undefined, address: undefined, friends: [undefined, null] }).toJSON(),
  'not numbers': (db) => JSON.parse(JSON.stringify(new db.Todo({ prio: NaN, weight: Infinity, names: [1, true, {}] }))),
  'invalid dates': async (db, { err }) => err(() => new db.Todo({ due: new Date('x') }).toJSON()),
  'dates lose zeros': (db) => ['2001-02-03T04:05:06.000Z', '2001-02-03T04:05:00.120Z', '2001-02-03T00:00:00.000Z', '1999-12-31T23:59:59.999Z'].map((text) => {
    const date = new Date(text);
    const { due, day, at } = new db.Todo({ due: date, day: date, at: date }).toJSON();
    return [due, day, at];
  }),
  'fromJSON reads texts as values': (db) => {
    const todo = db.Todo.fromJSON({ done: 'false', prio: '12abc', weight: '1.5', due: '2001-02-03T04:05:06Z', at: '12:00:00Z', day: '2001-02-03', place: '1;2', list: 'x', info: 'x', name: 7, tags: ['a', 'a'],
      votes: { a: '3' }, picture: '/file/www/x.png', next: '/db/Todo/later', address: { zip: '12', other: 1 } });
    return [todo, todo.done, todo.prio, todo.due, todo.at, todo.day, todo.place, todo.info, todo.name, todo.tags, todo.picture.id, todo.next.id, todo.votes];
  },
  'fromJSON with an id changes the object that is there': (db) => {
    const todo = new db.Todo({ id: 'json-1', name: 'a', prio: 1 });
    todo.attach(db);
    const same = db.Todo.fromJSON({ id: '/db/Todo/json-1', name: 'b', version: 7, acl: { read: { '/db/Role/1': 'allow' } } });
    return [same === todo, todo, todo.version, todo.acl, todo.prio];
  },
  'fromJSON of embedded objects': (db) => [db.Address.fromJSON({ zip: 1, tenant: '/db/Todo/x' }), db.Address.fromJSON({}).zip, new db.Address({ zip: 3, other: 1 }).toJSON(), String(new db.Address()), new db.Address() instanceof db.Address],
  'toJSON options': async (db) => {
    const b = new db.Todo({ id: 'b', name: 'b' });
    const a = new db.Todo({ id: 'a', name: 'a', next: b, friends: [b], address: new db.Address({ tenant: b }) });
    return [a.toJSON(), a.toJSON(true), a.toJSON({ excludeMetadata: true }), a.toJSON({ depth: 1 }), a.toJSON({ depth: true, excludeMetadata: true }), a.toJSON({ depth: -1 }), a.toJSON(false), JSON.parse(JSON.stringify([a]))];
  },
  'toJSON gives ids to what is referred to': (db) => {
    const b = new db.Todo();
    const json = new db.Todo({ next: b }).toJSON();
    return [json.next === b.id, db.contains(b)];
  },
  'sets and maps keep what they are': async (db) => {
    const todo = await new db.Todo({ tags: new db.Set(['a']), votes: new db.Map([['a', 1]]), names: db.List.from('xyz') }).save({ refresh: true });
    const { tags, votes, names } = todo;
    await todo.load({ refresh: true });
    return [todo.tags === tags, todo.votes === votes, todo.names === names, tags, votes, names];
  },
  'embedded objects keep what they are': async (db) => {
    const todo = await new db.Todo({ address: new db.Address({ zip: 1 }), homes: [new db.Address({ zip: 2 })] }).save({ refresh: true });
    const { address, homes: [home] } = todo;
    await todo.load({ refresh: true });
    return [todo.address === address, todo.homes[0] === home];
  },
  'maps need keys': async (db, { err }) => [await err(() => new db.Todo({ votes: new Map([[null, 1]]) }).toJSON()), await err(() => new db.Todo({ votes: new Map([[undefined, 1]]) }).save()),
    new db.Todo({ votes: new Map([[1, 1], [true, 2]]) }).toJSON().votes],
  'sets of one moment': (db) => new db.Todo({ moments: new Set([new Date(5), new Date(5)]) }).toJSON().moments,
  'GeoPoint': async (db, { err }) => {
    const { GeoPoint } = db;
    const a = new GeoPoint(53.5753, 10.0153);
    const b = new GeoPoint('48.1351;11.5820');
    return [a, b, new GeoPoint([1, 2]), new GeoPoint({ latitude: 3, longitude: 4 }), new GeoPoint(), String(b), a.kilometersTo(b), a.milesTo(b), a.radiansTo(b), a.kilometersTo(a), GeoPoint.DEG_TO_RAD,
      GeoPoint.EARTH_RADIUS_IN_MILES, await err(() => new GeoPoint(91, 0)), await err(() => new GeoPoint(0, -181)), Object.keys(a)];
  },
  'Acl': async (db, { err }) => {
    const { acl } = new db.Todo();
    const role = db.Role.ref('1');
    const results = [acl.isPublicReadAllowed(), acl.isPublicWriteAllowed()];
    results.push(acl.allowReadAccess(role, '/db/User/7') === acl, acl.denyWriteAccess('/db/User/8').deleteReadAccess('/db/User/7'));
    results.push(acl.isReadAllowed(role), acl.isReadDenied(role), acl.isWriteDenied('/db/User/8'), acl.isWriteAllowed('/db/User/8'), acl.isPublicReadAllowed(), acl.isPublicWriteAllowed(), acl.toJSON());
    acl.setPublicReadAllowed();
    results.push(acl.isPublicReadAllowed(), acl.read.allRules(), acl.write.getRule('/db/User/8'));
    const copy = new db.Acl().copy(acl);
    acl.clear();
    results.push(copy, acl, await err(() => acl.allowReadAccess('/db/Todo/1')), await err(() => acl.allowReadAccess(new db.Todo({ id: 'x' }))), await err(() => acl.allowReadAccess(new db.Role())));
    acl.fromJSON({ read: { '*': 'deny' } });
    results.push(acl, acl.isPublicReadAllowed());
    return results;
  },
  'acl of objects': { as: 'root', run: async (db) => {
    const todo = new db.Todo({ name: 'acl' });
    todo.acl.allowReadAccess(db.User.me).allowWriteAccess(db.User.me);
    await todo.save();
    db.clear();
    const loaded = await db.Todo.load(todo.id);
    return [loaded.acl, loaded.acl.isReadAllowed(db.User.me), await loaded.save()];
  } },
  'Permission': async (db) => {
    const { Permission } = db.intersection;
    const permission = Permission.fromJSON({ '/db/Role/1': 'allow' });
    return [Permission.BASE_PERMISSIONS, permission, permission.isPublicAllowed(), new Permission().copy(permission), permission.isAllowed('/db/Role/1')];
  },
  'util': (db) => [db.util.uuid(), db.util.atob('aGFsbG8='), typeof db.util.Lockable, db.util.isNode],
};
