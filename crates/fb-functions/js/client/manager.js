// `db`: knows the objects of one call, loads, saves and deletes them.
'use strict';

const { StatusCode, url } = require('./connector');
const { EntityExistsError, IllegalEntityError, PersistentError } = require('./errors');
const { Metadata } = require('./entity');
const { GeoPoint } = require('./geo');
const { Lockable, hidden, lazy, uuid } = require('./util');

const DB = '/db/';
const NO_CACHE = 'max-age=0, no-cache';
const KEYLESS = new Set(['User', 'Role', 'logs.AppLog']); // the server makes their keys

class EntityManager extends Lockable {
  constructor(entityManagerFactory, connection, metamodel, tokenStorage) {
    super();
    this.entityManagerFactory = entityManagerFactory;
    this.connection = connection;
    this.metamodel = metamodel;
    this.tokenStorage = tokenStorage;
    this.deviceMe = null;
    hidden(this, 'entities', Object.create(null)); // by id
  }

  get isOpen() {
    return !!this.connection;
  }

  get token() {
    return this.tokenStorage.token;
  }

  set token(value) {
    this.tokenStorage.update(value);
  }

  get isCachingDisabled() {
    return true;
  }

  isCachingEnabled() {
    return false;
  }

  get isDeviceRegistered() {
    return !!this.deviceMe;
  }

  /** See `send` in connector.js. */
  send(message, ignoreCredentialError = true) {
    if (!this.connection) throw new Error('This EntityManager is not connected.');
    const result = this.connection.send(message, this.tokenStorage);
    return ignoreCredentialError ? result : result.catch((error) => {
      if (error.status === StatusCode.BAD_CREDENTIALS) this._logout();
      throw error;
    });
  }

  /** `(class or ref, key or id)` or `(id)`. */
  getReference(entityClass, key) {
    let id = null;
    let type;
    if (key) {
      type = this._type(entityClass);
      id = key.startsWith(DB) ? key : `${type.ref}/${encodeURIComponent(key)}`;
    } else {
      const cut = typeof entityClass === 'string' ? entityClass.indexOf('/', DB.length) : -1;
      if (cut !== -1) id = entityClass;
      const known = id && this.entities[id];
      if (known) return known;
      type = this._type(cut === -1 ? entityClass : entityClass.substring(0, cut));
    }
    const known = this.entities[id];
    if (known) return known;
    const entity = type.create();
    if (id) entity._metadata.id = id;
    entity._metadata.setUnavailable();
    this._attach(entity);
    return entity;
  }

  _type(entityClass) {
    const type = this.metamodel.entity(entityClass);
    if (!type) throw new TypeError(`There is no class ${typeof entityClass === 'string' ? entityClass : entityClass && entityClass.name}.`);
    return type;
  }

  createQueryBuilder(resultClass) {
    const { Builder } = require('./query');
    return new Builder(this, resultClass);
  }

  clear() {
    hidden(this, 'entities', Object.create(null));
  }

  close() {
    this.connection = null;
    this.clear();
  }

  contains(entity) {
    return !!entity && !!entity.id && this.entities[entity.id] === entity;
  }

  containsById(entity) {
    return !!(entity && entity.id && this.entities[entity.id]);
  }

  detach(entity) {
    return Metadata.get(entity).withLock(() => {
      this.removeReference(entity);
      return Promise.resolve(entity);
    });
  }

  /** Loads what an entity refers to, `options.depth` steps far (true: everything). */
  resolveDepth(entity, options) {
    if (!options || !options.depth) return Promise.resolve(entity);
    const resolved = options.resolved || [];
    const rest = { ...options, resolved, depth: options.depth === true ? true : options.depth - 1 };
    const loads = [];
    for (const sub of this.getSubEntities(entity, 1)) {
      if (sub !== null && !resolved.includes(sub) && sub.id) {
        resolved.push(sub);
        loads.push(this.load(sub.id, undefined, rest));
      }
    }
    return Promise.all(loads).then(() => entity);
  }

  load(entityClass, key, options) {
    const opt = options || {};
    const entity = this.getReference(entityClass, key);
    const state = entity._metadata;
    if (!opt.refresh && opt.local && state.isAvailable) return this.resolveDepth(entity, opt);
    return this.send({
      method: 'GET',
      path: url`/db/${state.bucket}/${state.key}`,
      ok: [200, 304],
      headers: { 'cache-control': opt.refresh || !entity.id ? NO_CACHE : null },
    }).then((response) => {
      if (entity.version && response.entity && entity.version > response.entity.version) {
        return this.load(entityClass, key, { ...opt, refresh: true });
      }
      if (response.status !== StatusCode.NOT_MODIFIED) {
        state.type.fromJsonValue(state, response.entity, entity, { persisting: true });
      }
      return this.resolveDepth(entity, opt);
    }, (error) => {
      if (error.status !== StatusCode.OBJECT_NOT_FOUND) throw error;
      this.removeReference(entity);
      state.setRemoved();
      return null;
    });
  }

  insert(entity, options) {
    let isNew;
    return this._save(entity, options || {}, (state, json) => {
      if (state.version) throw new PersistentError('Existing objects can\'t be inserted.');
      isNew = !state.id;
      return create(state, json);
    }).then((value) => {
      if (isNew) this._attach(entity);
      return value;
    });
  }

  update(entity, options) {
    const opt = options || {};
    return this._save(entity, opt, (state, json) => {
      if (!state.version) throw new PersistentError('New objects can\'t be inserted.');
      return opt.force ? replace(state, { ...json, version: undefined }, '*') : replace(state, json, `"${state.version}"`);
    });
  }

  save(entity, options, withoutLock = false) {
    const opt = options || {};
    const message = (state, json) => {
      if (opt.force) {
        if (!state.id) throw new PersistentError('New special objects can\'t be forcefully saved.');
        return replace(state, { ...json, version: undefined });
      }
      return state.version ? replace(state, json, `"${state.version}"`) : create(state, json);
    };
    return withoutLock ? this._locklessSave(entity, opt, message) : this._save(entity, opt, message);
  }

  /** Changes and saves; if somebody else was faster, loads the object and does both again. */
  optimisticSave(entity, change) {
    return Metadata.get(entity).withLock(() => this._optimisticSave(entity, change));
  }

  _optimisticSave(entity, change) {
    let aborted = false;
    const changed = Promise.resolve(change(entity, () => { aborted = true; }));
    if (aborted) return Promise.resolve(entity);
    return changed.then(() => this.save(entity, {}, true).catch((error) => {
      if (error.status !== StatusCode.OBJECT_OUT_OF_DATE) throw error;
      return this.refresh(entity, {}).then(() => this._optimisticSave(entity, change));
    }));
  }

  _save(entity, options, message) {
    return Metadata.get(entity).withLock(() => this._locklessSave(entity, options, message));
  }

  _locklessSave(entity, options, message) {
    this.attach(entity);
    const state = entity._metadata;
    const json = state.isAvailable ? state.type.toJsonValue(state, entity, { persisting: true }) : undefined;
    const saves = [];
    if (state.isDirty) {
      if (!options.refresh) state.setPersistent();
      saves.push(this.send(message(state, json)).then((response) => {
        if (state.id && state.id !== response.entity.id) {
          this.removeReference(entity);
          state.id = response.entity.id;
          this._attach(entity);
        }
        state.type.fromJsonValue(state, response.entity, entity, { persisting: options.refresh, onlyMetadata: !options.refresh });
      }, (error) => {
        if (error.status !== StatusCode.OBJECT_NOT_FOUND) {
          state.setDirty();
          throw error;
        }
        this.removeReference(entity);
        state.setRemoved();
      }));
    }
    const flat = { ...options, depth: 0 };
    for (const sub of this.getSubEntities(entity, options.depth)) saves.push(this._save(sub, flat, message));
    return Promise.all(saves).then(() => entity);
  }

  /** What an entity refers to, `depth` steps far, without the entity itself. */
  getSubEntities(entity, depth, resolved = [], root = entity) {
    if (!depth) return resolved;
    for (const { path } of Metadata.get(entity).type.references()) {
      for (const sub of this.getSubEntitiesByPath(entity, path)) {
        if (sub !== root && !resolved.includes(sub)) {
          resolved.push(sub);
          this.getSubEntities(sub, depth === true ? true : depth - 1, resolved, root);
        }
      }
    }
    return resolved;
  }

  getSubEntitiesByPath(entity, path) {
    let objects = [entity];
    for (const name of path) {
      const next = [];
      for (const object of objects) {
        const value = object[name];
        if (!value) continue;
        const attribute = this.metamodel.managedType(object.constructor).getAttribute(name);
        if (!attribute.isCollection) {
          next.push(value);
          continue;
        }
        for (const [key, element] of value.entries()) {
          next.push(element);
          if (attribute.keyType && attribute.keyType.isEntity) next.push(key);
        }
      }
      objects = next;
    }
    return objects;
  }

  delete(entity, options) {
    const opt = options || {};
    this.attach(entity);
    const state = entity._metadata;
    return state.withLock(() => {
      if (!state.version && !opt.force) throw new IllegalEntityError(entity);
      const deletes = [this.send({
        method: 'DELETE',
        path: url`/db/${state.bucket}/${state.key}`,
        ok: [202, 204],
        headers: { 'if-match': opt.force ? null : `"${state.version}"` },
      }).then(() => {
        this.removeReference(entity);
        state.setRemoved();
      })];
      const flat = { ...opt, depth: 0 };
      for (const sub of this.getSubEntities(entity, opt.depth)) deletes.push(this.delete(sub, flat));
      return Promise.all(deletes).then(() => entity);
    });
  }

  flush() {
    throw new Error('Not implemented.');
  }

  persist(entity) {
    this.attach(entity);
  }

  refresh(entity, options) {
    return entity.id ? this.load(entity.id, undefined, { ...options, refresh: true }) : Promise.resolve(entity);
  }

  attach(entity) {
    if (this.contains(entity)) return;
    if (!this.metamodel.entity(entity.constructor)) throw new IllegalEntityError(entity);
    if (this.containsById(entity)) throw new EntityExistsError(entity);
    this._attach(entity);
  }

  _attach(entity) {
    const state = entity._metadata;
    if (!state.isAttached) state.db = this;
    else if (state.db !== this) throw new EntityExistsError(entity);
    if (!state.id && !KEYLESS.has(state.bucket)) state.id = `${DB}${state.bucket}/${uuid()}`;
    if (state.id) this.entities[state.id] = entity;
  }

  removeReference(entity) {
    const state = Metadata.get(entity);
    if (!state || !state.id) throw new IllegalEntityError(entity);
    delete this.entities[state.id];
  }

  /** URL of a path of the API that works without headers; with the rights of the login inside of code, if there was one. */
  createURL(path, authorize) {
    const { connection } = this;
    if (!connection) throw new Error('This EntityManager is not connected.');
    return this.tokenStorage.signPath(connection.basePath + path, authorize).then((signed) => connection.origin + signed);
  }

  validate() {
    throw new PersistentError('validate() is not there on the server, objects are validated when they are saved.');
  }

  executeQuery(resultClass, query, triggeredBy, ttl) {
    const type = resultClass ? this.metamodel.entity(resultClass) : null;
    if (!type || type.getMetadata('backendType') !== 'analytics') {
      throw new Error('Only analytics entities can execute queries');
    }
    const { sendQuery } = require('./query');
    return sendQuery(this, type, 'query', query, { triggeredBy, ttl }, this.connection.host.length + query.length)
      .then((response) => response.entity);
  }

  // There is no cache between code and the server.

  addToWhiteList() {}

  addToBlackList() {}

  refreshBloomFilter() {
    return Promise.resolve(null);
  }

  ensureBloomFilterFreshness() {}

  mustRevalidate() {
    return false;
  }

  ensureCacheHeader(id, message, refresh) {
    if (refresh || !id) message.headers = { ...message.headers, 'cache-control': NO_CACHE };
  }
}

function create(state, json) {
  return { method: 'POST', path: url`/db/${state.bucket}`, ok: [201, 202], body: json, type: 'json' };
}

function replace(state, json, version) {
  return {
    method: 'PUT', path: url`/db/${state.bucket}/${state.key}`, ok: [200, 202], body: json, type: 'json', headers: { 'if-match': version },
  };
}

Object.assign(EntityManager.prototype, {
  List: Array, Set, Map, GeoPoint, bloomFilter: null, cacheWhiteList: null, cacheBlackList: null, bloomFilterRefresh: 60,
});

// What many calls never use is evaluated when it is asked for.
lazy(EntityManager.prototype, 'me', (db) => (db._caller ? db.getReference(db._caller) : null));
lazy(EntityManager.prototype, 'File', (db) => require('./files').FileFactory.create(db));
lazy(EntityManager.prototype, 'log', (db) => require('./log').Logger.create(db));
lazy(EntityManager.prototype, 'modules', (db) => new (require('./code').Modules)(db));
lazy(EntityManager.prototype, 'code', (db) => new (require('./code').Code)(db.metamodel, db));
const ACCOUNT = ['register', 'login', 'logout', 'renew', 'newPassword', 'newPasswordWithToken', 'resetPassword', 'changeUsername',
  'initMFA', 'finishMFA', 'submitMFACode', 'disableMFA', 'getMFAStatus', 'loginWithOAuth', 'requestAPIToken', 'revokeAllTokens',
  '_logout', '_userRequest', '_updateUser'];
for (const name of ACCOUNT) {
  hidden(EntityManager.prototype, name, function (...args) {
    return require('./users').account[name].apply(this, args);
  });
}
for (const name of ['registerDevice', 'checkDeviceRegistration', 'pushDevice', '_updateDevice']) {
  hidden(EntityManager.prototype, name, function (...args) {
    return require('./devices').registration[name].apply(this, args);
  });
}
const STATICS = {
  Acl: () => require('./acl').Acl,
  error: () => require('./errors'),
  util: () => require('./statics').util,
  binding: () => require('./statics').binding,
  intersection: () => require('./statics').intersection,
  connector: () => require('./connector'),
  query: () => require('./query'),
  partialupdate: () => require('./partial-update'),
  EntityManager: () => EntityManager,
};
for (const [name, make] of Object.entries(STATICS)) lazy(EntityManager.prototype, name, make);

/** `db.Todo`, made when it is first used; assigning a class, once per db, makes it the class of the type. */
function defineClass(proto, ref) {
  const name = ref.substring(DB.length);
  if (name in proto) return; // what every db has is never hidden by a class
  function get() {
    const value = this.metamodel.managedType(ref).createObjectFactory(this);
    Object.defineProperty(this, name, { value });
    return value;
  }
  Object.defineProperty(proto, name, {
    get,
    set(constructor) {
      this.metamodel.managedType(ref).useConstructor(constructor);
      const refuse = () => { throw new Error('Type constructor has already been set.'); };
      Object.defineProperty(this, name, { get, set: refuse, configurable: true });
    },
    configurable: true,
  });
}

module.exports = { EntityManager, defineClass };
