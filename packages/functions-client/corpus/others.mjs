// The log, the schema, errors, and what the server has no answer for.

const wait = (db) => new Promise((resolve) => { setTimeout(resolve, 0); }).then(() => db);

export default {
  'log': { unordered: true, run: async (db, { err, requests }) => {
    await db.log.info('info', { a: 1 });
    await db.log.warn('warn %s %d %j %% %s', 'a', '5', { b: 1 }, 'c');
    await db.log.error('error', new RangeError('mine'));
    db.log('error', 'as level');
    await wait(db);
    await db.log.info('array', [1]);
    await db.log.info('number', 5);
    await db.log.info('text', 'more', 'and more', 'last');
    await db.log.info({ only: 'data' });
    await db.log.info();
    await db.log.info('too few %s %s', 'one');
    await db.log.info('100%');
    await db.log.info('%s');
    await db.log.info('null', null);
    const circular = {};
    circular.self = circular;
    await db.log.info('circular %j', circular);
    const silent = [await db.log.debug('x'), await db.log.trace('x'), db.log.level];
    db.log.level = 'debug';
    await db.log.debug('now');
    db.log.level = 'error';
    const hidden = await db.log.warn('hidden');
    const wrong = await err(() => { db.log.level = 'x'; });
    await wait(db);
    for (const { body } of requests) if (body?.data?.stack) body.data.stack = body.data.stack.split('\n')[0];
    return [silent, hidden, wrong, typeof db.log, db.log.levelIndex];
  } },
  'the log names the caller': { as: 'root', run: async (db) => {
    await db.log.info('by root');
    const entry = await db['logs.AppLog'].find().equal('message', 'by root').singleResult();
    return [entry.level, entry.message, entry.user.id === db.User.me.id, entry.data, entry.date instanceof Date];
  } },
  'the schema': (db) => {
    const { metamodel } = db;
    const todo = metamodel.entity('Todo');
    const kinds = ['name', 'due', 'address', 'next', 'tags', 'names', 'votes', 'pairs'].map((name) => {
      const attribute = todo.getAttribute(name);
      return [name, attribute.order, attribute.isCollection, attribute.isAssociation, attribute.isMetadata, attribute.persistentAttributeType, attribute.collectionType,
        (attribute.type ?? attribute.elementType).ref, attribute.keyType?.ref, attribute.declaringType === todo, attribute.isId];
    });
    return [todo.ref, todo.name, todo.isEntity, todo.isBasic, todo.isEmbeddable, todo.superType.ref, metamodel.entity('/db/Task').superType === todo, metamodel.embeddable('Address').isEmbeddable, metamodel.managedType('Address').ref,
      metamodel.baseType('String').ref, metamodel.baseType(Number).ref, metamodel.baseType(Date).ref, metamodel.entity('Nothing'), metamodel.embeddable('Todo'), metamodel.managedType('Nothing'), kinds,
      Array.from(metamodel.entity('Task').attributes(), ({ name }) => name), todo.getAttribute('nothing'), todo.getDeclaredAttribute(0).name, todo.getDeclaredAttribute('id'), todo.id.isId, todo.version.isVersion, todo.acl.isAcl,
      Array.from(metamodel.entity('Task').references(), ({ path }) => path), Object.keys(metamodel.entities).filter((ref) => !/logs|jobs|speed/.test(ref)).sort(), Object.keys(metamodel.embeddables), metamodel.isInitialized,
      metamodel.entity(db.Todo.type) === todo, metamodel.getRef('Todo'), String(todo), todo.hasMetadata('x'), todo.getMetadata('x'), todo.loadPermission, metamodel.baseType('Todo')];
  },
  'the schema as JSON': (db) => db.metamodel.toJSON().filter(({ class: ref }) => /Todo|Address|Task|Item/.test(ref)).sort((a, b) => a.class.localeCompare(b.class)),
  'changes of the schema': { as: 'root', run: async (db, { err }) => {
    const { metamodel } = db;
    const saved = await metamodel.save(metamodel.embeddable('Address'));
    const { DbIndex } = db.metamodel.constructor.prototype;
    await metamodel.createIndex('Todo', new DbIndex('prio'));
    await metamodel.createIndex('Todo', new DbIndex([{ name: 'asc' }, { done: 'desc' }]));
    const indexes = (await metamodel.getIndexes('Todo')).filter((index) => index.hasKey('prio') || index.isCompound);
    await metamodel.dropIndex('Todo', new DbIndex({ prio: 'asc' }));
    await metamodel.dropAllIndexes('Todo');
    return [saved === metamodel, indexes, indexes.map(({ isUnique }) => isUnique), await err(() => metamodel.load()), await err(() => new DbIndex()), (await metamodel.getIndexes('Todo')).length];
  } },
  'a class of code': async (db, { err }) => {
    class Item extends db.binding.Entity {
      get twice() { return this.price * 2; }
    }
    db['my.shop.Item'] = Item;
    const item = new db['my.shop.Item']({ price: 4 });
    await item.save();
    return [item instanceof Item, item.twice, await err(() => { db.Address = class {}; }), (await db['my.shop.Item'].load(item.id)) === item];
  },
  'rights': async (db, { err }) => [await err(() => db['logs.AppLog'].load('x')), await err(() => new db.Device().insert()), await err(() => db['jobs.Status'].find().resultList()), await err(() => db.metamodel.createIndex('Todo', { toJSON: () => ({ keys: [{ name: 'asc' }] }) }))],
  'errors': async (db, { err }) => {
    const { PersistentError, CommunicationError, EntityExistsError, IllegalEntityError } = db.error;
    const error = await err(() => new db.Role().insert());
    return [error instanceof CommunicationError, error instanceof PersistentError, error instanceof Error, new PersistentError('x').message, new PersistentError(null, new Error('c')), PersistentError.of(error) === error,
      PersistentError.of(new Error('o')), new EntityExistsError(new db.Todo()).message, new IllegalEntityError('e').message, new CommunicationError(null, { status: 0 }), new CommunicationError({ request: { method: 'GET', path: '/x' }, method: 'GET', path: '/x' }, { status: 500 })];
  },
  'PushMessage': async (db, { err }) => {
    const { PushMessage } = db.Device;
    const device = db.Device.ref('1');
    const message = new PushMessage([device], 'm', 's', { tag: 't' });
    message.addDevice(db.Device.ref('2'));
    return [message.toJSON(), new PushMessage(device, 'm', 's', 'sound', 3, { d: 1 }).toJSON(), new PushMessage(new Set([device])).message, await err(() => new PushMessage().toJSON()), await err(() => new PushMessage({})), db.Device.me, db.Device.isRegistered];
  },
  'only analytics classes have such queries': async (db, { err }) => [await err(() => db.Todo.executeQuery('x')), await err(() => db.executeQuery(null, 'x'))],
};
