// Making, loading, saving and deleting objects.

const named = (db, name, more) => new db.Todo({ name, ...more });

export default {
  'a new object has no id, version, and null fields': (db) => {
    const todo = new db.Todo();
    return [todo.id, todo.key, todo.version, todo.name, todo.tags, todo.createdAt, 'name' in todo, Object.keys(todo), String(todo), todo];
  },
  'a constructor takes fields, also unknown ones': (db) => {
    const todo = new db.Todo({ name: 'a', other: 1, tags: new Set(['x']) });
    return [todo.other, todo, Object.keys(todo)];
  },
  'without new': (db) => db.Todo({ name: 'a' }),
  'new() of the factory': (db) => [db.Todo.new({ name: 'a' }), new db.Todo() instanceof db.Todo, new db.Todo() instanceof db.Task, new db.Task() instanceof db.Todo],
  'enumerable properties': (db) => {
    const names = [];
    for (const name in new db.Todo({ name: 'a', createdAt: new Date(0) })) names.push(name);
    return names.filter((name) => name !== 'constructor' && !/shout|twice|thrice/.test(name)).sort();
  },
  'ids and keys': async (db, { err }) => {
    const byId = new db.Todo({ id: 'my key/ü' });
    const byRef = new db.Todo({ id: '/db/Todo/abc%20d' });
    const byKey = new db.Todo({ key: 'k1' });
    return [byId.id, byId.key, byRef.id, byRef.key, byKey.id, byKey._metadata.bucket,
      await err(() => { byId.id = 'x'; }), await err(() => { byId.key = 'x'; })];
  },
  'methods of classes': (db) => {
    db.Todo.addMethod('shout', function () { return this.name.toUpperCase(); });
    db.Todo.addMethods({ twice() { return this.name + this.name; } });
    db.Todo.methods.thrice = function () { return this.twice() + this.name; };
    const todo = named(db, 'ab');
    return [todo.shout(), todo.twice(), todo.thrice(), new db.Task({ name: 'c' }).shout()];
  },
  'insert and load': async (db) => {
    const todo = named(db, 'insert');
    const before = todo.id;
    const same = await todo.insert();
    const other = await db.Todo.load(todo.id);
    return [before, same === todo, todo.version, todo, other === todo, typeof todo.createdAt, todo.createdAt instanceof Date];
  },
  'insert with refresh': async (db) => named(db, 'insert with refresh').insert({ refresh: true }),
  'insert what exists': async (db, { err }) => {
    const todo = await named(db, 'x', { id: 'fixed-1' }).insert();
    const twin = db.Todo.fromJSON({ id: '/db/Todo/fixed-1' });
    db.clear();
    const again = named(db, 'y', { id: 'fixed-1' });
    return [await err(() => todo.insert()), twin === todo, await err(() => again.insert()), again];
  },
  'an object with an id that the db holds': async (db, { err }) => {
    await named(db, 'x', { id: 'fixed-2' }).save();
    return err(() => named(db, 'y', { id: 'fixed-2' }).save());
  },
  'save sends again what only metadata changed of': async (db) => {
    const todo = await named(db, 'save').save();
    await todo.save();
    await todo.save();
    const loaded = await todo.load({ refresh: true });
    await loaded.save();
    return todo;
  },
  'save after load sends nothing': async (db) => {
    const todo = await named(db, 'quiet', { tags: new Set(['a']), names: ['b'], votes: new Map([['c', 1]]), info: { a: 1 }, place: new db.GeoPoint(1, 2),
      due: new Date('2001-02-03T04:05:06Z'), address: new db.Address({ zip: 1 }) }).save({ refresh: true });
    await todo.save();
    return todo;
  },
  'changes that count': async (db) => {
    const todo = await named(db, 'changes', { tags: new Set(['a']), names: ['b'], votes: new Map([['c', 1]]), info: { a: 1 }, list: [1],
      due: new Date('2001-02-03T04:05:06Z'), address: new db.Address({ zip: 1 }), homes: [new db.Address({ zip: 3 })] }).save({ refresh: true });
    const versions = [todo.version];
    for (const change of [
      () => { todo.info.a = 2; },
      () => { todo.list.push(2); },
      () => { todo.due.setFullYear(2002); },
      () => { todo.tags.add('b'); },
      () => { todo.names[0] = 'z'; },
      () => { todo.votes.set('c', 2); },
      () => { todo.address.zip = 2; },
      () => { todo.homes[0].zip = 4; },
      () => { todo.name = 'changes'; },
      () => { todo.acl.allowReadAccess('/db/Role/2'); todo.acl.denyReadAccess('/db/Role/2'); todo.acl.read.clear(); },
      () => { todo.tags.delete('b'); todo.tags.add('b'); },
      () => { todo.tags.delete('b'); },
      () => { todo.votes.delete('c'); },
      () => { todo.names.pop(); },
      () => { todo.info = { ...todo.info }; },
      () => { todo.due = new Date(todo.due); },
    ]) {
      change();
      await todo.save({ refresh: true });
      versions.push(todo.version);
    }
    return versions;
  },
  'save with force': async (db) => {
    const todo = await named(db, 'force', { id: 'force-1' }).save();
    db.clear();
    const other = await named(db, 'forced', { id: 'force-1' }).save({ force: true });
    return [todo.version, other, await other.load({ refresh: true })];
  },
  'force without an id': async (db, { err }) => err(() => new db.Role({ name: 'x' }).save({ force: true })),
  'update': async (db, { err }) => {
    const todo = named(db, 'update');
    const early = await err(() => named(db, 'early').update());
    await todo.save({ refresh: true });
    todo.name = 'updated';
    await todo.update();
    return [early, todo.version, await err(() => todo.update()), await (await db.Todo.load(todo.id, { refresh: true })).update({ force: true })];
  },
  'stale objects': async (db, { err, open }) => {
    const todo = await named(db, 'stale').insert();
    const other = await (await open()).Todo.load(todo.id);
    other.name = 'other';
    await other.save();
    todo.name = 'mine';
    const stale = await err(() => todo.save());
    const kept = todo.name;
    await todo.save({ force: true });
    return [stale, kept, todo];
  },
  'optimisticSave': async (db, { open }) => {
    const todo = await named(db, 'optimistic', { prio: 1 }).insert();
    const other = await (await open()).Todo.load(todo.id);
    other.prio = 10;
    await other.save();
    let tries = 0;
    const saved = await todo.optimisticSave((it) => { tries += 1; it.prio += 1; });
    const aborted = await todo.optimisticSave((it, abort) => { it.prio = 99; abort(); });
    return [tries, saved.prio, aborted === todo, todo.prio, todo.version];
  },
  'optimisticSave that fails': async (db, { err }) => {
    const todo = await named(db, 'opt').insert();
    return [await err(() => todo.optimisticSave(() => Promise.reject(new Error('mine')))), await err(() => todo.optimisticSave(() => { throw new Error('sync'); }))];
  },
  'delete': async (db, { err }) => {
    const todo = await named(db, 'delete').insert();
    const same = await todo.delete();
    return [same === todo, todo, await db.Todo.load(todo.id), await err(() => todo.delete()), await err(() => new db.Todo().delete())];
  },
  'a deleted object can be inserted again': async (db) => {
    const todo = await named(db, 'again').insert();
    await todo.delete();
    todo.name = 'back';
    await todo.insert();
    return todo;
  },
  'delete with force, stale, and what is not there': async (db, { err, open }) => {
    const todo = await named(db, 'delete').insert();
    const other = await (await open()).Todo.load(todo.id);
    other.name = 'b';
    await other.save();
    return [await err(() => todo.delete()), await todo.delete({ force: true }), await err(() => other.delete()), await err(() => db.Todo.ref('nothing').delete({ force: true }))];
  },
  'saving what was deleted elsewhere': async (db, { open, err }) => {
    const todo = await named(db, 'gone').insert();
    await (await (await open()).Todo.load(todo.id)).delete();
    todo.name = 'still here';
    return [await err(() => todo.save()), todo, db.contains(todo), await todo.load({ refresh: true }), todo, await todo.save(), db.contains(todo)];
  },
  'load what is not there': async (db, { err }) => [await db.Todo.load('nothing'), await db.Todo.load('/db/Todo/nothing'),
    await err(() => db.load('Nonsense', 'x')), await err(() => new db.Todo().load())],
  'load by id of the db': async (db) => {
    const todo = await named(db, 'by id').insert();
    return [await db.load(todo.id) === todo, await db.load('Todo', todo.key) === todo, await db.load('/db/Todo', todo.key) === todo];
  },
  'load of an object uses what is there': async (db, { requests }) => {
    const todo = await named(db, 'local').insert();
    const count = requests.length;
    await todo.load();
    const local = requests.length - count;
    await todo.load({ refresh: true });
    await db.Todo.load(todo.id, { local: true });
    return [local, requests.length - count];
  },
  'references are not to be read before they are loaded': async (db, { err }) => {
    const id = (await named(db, 'ref').insert()).id;
    db.clear();
    const ref = db.Todo.ref(id);
    return [ref, await err(() => ref.name), await err(() => { ref.name = 'x'; }), await err(() => ref.acl), ref.createdAt, ref.toJSON(), JSON.stringify({ ref }),
      await ref.load() === ref, ref.name];
  },
  'saving an unloaded reference does nothing': async (db) => {
    const ref = db.Todo.ref('unloaded');
    return [await ref.save() === ref, ref];
  },
  'callbacks instead of options': async (db, { err }) => {
    const todo = named(db, 'callbacks');
    const results = [];
    results.push(await todo.insert((it) => it.name), await todo.save((it) => it.name), await todo.update((it) => it.name), await todo.load((it) => it.name));
    results.push(await db.Todo.load(todo.id, (it) => it.name), await db.Todo.load(todo.id, {}, (it) => it.name));
    results.push(await todo.ready((it) => it.name), (await todo.ready()) === todo);
    results.push(await todo.optimisticSave(() => {}, (it) => it.name));
    results.push(await todo.delete((it) => it.name));
    results.push(await named(db, 'c').save({}, null, () => 'failed'));
    results.push(await db.Todo.load('fixed-1', () => { throw new Error('in callback'); }).catch((error) => error.message));
    db.clear();
    results.push(await named(db, 'y', { id: 'fixed-1' }).insert(undefined, null, (error) => error.status));
    db.clear();
    results.push(await err(() => named(db, 'y', { id: 'fixed-1' }).insert(null, null)));
    db.clear();
    results.push(await named(db, 'z', { id: 'fixed-1' }).insert(() => 'done', (error) => error.status).catch((error) => error));
    return results;
  },
  'one operation at a time': async (db, { err }) => {
    const todo = named(db, 'locked');
    const first = todo.insert();
    const second = await err(() => todo.save());
    const ready = await todo.ready();
    await first;
    return [second, ready === todo];
  },
  'contains, attach, detach, clear': async (db, { err, open }) => {
    const todo = named(db, 'attach', { id: 'attach-1' });
    const results = [db.contains(todo), db.containsById(todo), db.contains(null), db.contains({})];
    todo.attach(db);
    results.push(db.contains(todo), db.getReference('/db/Todo/attach-1') === todo);
    await db.detach(todo);
    results.push(db.contains(todo));
    const other = await open();
    results.push(await err(() => other.attach(todo)), await err(() => todo.attach(other)), await err(() => db.attach({})), await err(() => db.attach(new db.Address())));
    db.attach(todo);
    results.push(await err(() => db.attach(named(db, 'x', { id: 'attach-1' }))));
    db.clear();
    results.push(db.contains(todo));
    return results;
  },
  'getReference': (db) => [db.getReference('Todo', 'x'), db.getReference('/db/Todo/x') === db.Todo.ref('x'), db.getReference('/db/Todo', '/db/Todo/x') === db.Todo.ref('/db/Todo/x'),
    db.Todo.ref('ü/ü').id, db['my.shop.Item'].ref('1').id],
  'references: saved alone, loaded with depth': async (db) => {
    const c = named(db, 'c');
    const b = named(db, 'b', { next: c });
    const a = named(db, 'a', { next: b });
    await c.save();
    await b.save();
    await a.save();
    db.clear();
    const flat = await db.Todo.load(a.id);
    const results = [flat.next, flat.next.id === b.id];
    db.clear();
    const one = await db.Todo.load(a.id, { depth: 1 });
    results.push(one.next.name, one.next.next);
    db.clear();
    const two = await db.Todo.load(a.id, { depth: 2 });
    results.push(two.next.next.name);
    db.clear();
    results.push((await db.Todo.load(a.id, { depth: true })).next.next.name, (await two.load({ depth: 1 })) === two);
    return results;
  },
  'references: saved with depth': { unordered: true, run: async (db) => {
    const c = named(db, 'c2');
    const b = named(db, 'b2', { next: c, friends: [c, named(db, 'd2')] });
    const a = named(db, 'a2', { next: b, address: new db.Address({ zip: 1, tenant: named(db, 'tenant') }) });
    await a.save({ depth: 1 });
    const results = [a.version, b.version, c.version, a.address.tenant.version];
    await a.save({ depth: true, refresh: true });
    results.push(c.version, b.friends[1].version);
    return results;
  } },
  'references: cycles': { unordered: true, run: async (db) => {
    const a = named(db, 'cycle a');
    const b = named(db, 'cycle b', { next: a });
    a.next = b;
    await a.save({ depth: true });
    db.clear();
    const loaded = await db.Todo.load(a.id, { depth: true });
    return [loaded.next.name, loaded.next.next === loaded];
  } },
  'delete with depth': { unordered: true, run: async (db) => {
    const b = named(db, 'delete b');
    const a = named(db, 'delete a', { next: b });
    await a.save({ depth: true });
    await a.delete({ depth: true });
    return [await db.Todo.load(a.key), await db.Todo.load(b.key), a, b];
  } },
  'getReferencing': { unordered: true, run: async (db) => {
    const target = await named(db, 'target', { id: 'target' }).save();
    await named(db, 'one', { next: target }).save();
    await named(db, 'list', { friends: [target] }).save();
    await new db.Task({ name: 'parent', parent: target }).save();
    await new db['my.shop.Item']({ todo: target, price: 1.5 }).save();
    const all = await target.getReferencing();
    const some = await target.getReferencing({ classes: ['/db/my.shop.Item'] });
    return [all.map((it) => `${it._metadata.type.name} ${it.name ?? it.price}`).sort(), some.map((it) => it.price)];
  } },
  'inheritance': async (db) => {
    const task = await new db.Task({ name: 'task', steps: 3 }).save();
    db.clear();
    return [await db.Task.load(task.id), await db.Todo.load(task.id), task.constructor === db.Task.type, db.Task.find().constructor.name];
  },
  'objects of unknown classes are refused': async (db, { err }) => [db.Nothing, await err(() => db.save({})), await err(() => db.persist({})), await err(() => db.flush())],
  'a class of its own': async (db) => {
    const item = new db['my.shop.Item']({ price: 2.5 });
    await item.save();
    return [item, await db['my.shop.Item'].load(item.key), db.my];
  },
  'refresh': async (db) => {
    const todo = await named(db, 'refresh').save();
    todo.name = 'local';
    await db.refresh(todo);
    return [todo.name, await db.refresh(new db.Role())];
  },
  'db itself': async (db) => [db.isOpen, db.isReady, (await db.ready()) === db, await db.ready(() => 7), db.isCachingEnabled(), db.bloomFilter, db.isDeviceRegistered, db.deviceMe,
    db.List === Array, db.Set === Set, db.Map === Map, typeof db.GeoPoint, db.addToBlackList('x'), await db.refreshBloomFilter(), db.mustRevalidate('x')],
  'close': async (db, { err }) => {
    db.close();
    return [db.isOpen, await err(() => db.Todo.load('x')), await err(() => new db.Todo().save())];
  },
};
