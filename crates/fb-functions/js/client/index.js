// The client's library inside of the server: `db` for calls of code. What it offers: docs/client.md.
'use strict';

const { Connector } = require('./connector');
const { EntityManager, defineClass } = require('./manager');
const { Metamodel } = require('./metamodel');
const { TokenStorage } = require('./token');
const { hidden } = require('./util');

/**
 * For the calls of one instance: knows the schema (class JSON as in `GET /schema`) and the classes made of it, and
 * nothing of any caller. `options.toStream(bytes)` makes a readable stream, for downloads as such.
 */
function createFactory(schema, options = {}) {
  const metamodel = new Metamodel(null);
  metamodel.init(schema);
  const Db = class EntityManagerOfSchema extends EntityManager {};
  for (const ref of metamodel.refs()) defineClass(Db.prototype, ref);
  Object.freeze(Db.prototype);
  Object.freeze(Db);

  /**
   * `request({method, path, headers, body})` makes a request of the API; `me` is the caller's id or null; `log(level,
   * message)`, or `log.warn(message)`, takes what has to be said to the operator; `origin` is where the app is reached, for URLs.
   */
  function createDb(context) {
    const { request, me = null, log, origin = '', basePath = '/v1' } = context;
    const connection = new Connector(request, origin, basePath, options.toStream);
    const tokenStorage = new TokenStorage(origin);
    const own = Object.create(metamodel); // the same types, requests with the rights of this call
    const emf = { connection, metamodel: own, tokenStorage, isReady: true };
    const db = new Db(emf, connection, own, tokenStorage);
    hidden(db, '_caller', me);
    hidden(db, '_report', (message) => (typeof log === 'function' ? log('warn', message) : log && log.warn(message)));
    own.entityManagerFactory = emf;
    emf.send = (message) => db.send(message);
    emf.ready = () => Promise.resolve(emf);
    emf.createEntityManager = (shared) => createDb(shared ? context : { ...context, me: null });
    return db;
  }

  /** An object that `db` does not know: loading its id gives another one. With an id alone, one that is not loaded. */
  function createEntity(db, className, json) {
    const type = db.metamodel.entity(className);
    if (!type) throw new TypeError(`There is no class ${className}.`);
    const entity = type.create();
    const state = entity._metadata;
    state.db = db;
    if (Object.keys(json).every((name) => name === 'id')) {
      state.id = json.id;
      state.setUnavailable();
    } else {
      type.fromJsonValue(state, json, entity, { persisting: true });
    }
    return entity;
  }

  /** What the API takes for an object. Objects that it refers to get ids. */
  function serialize(entity) {
    const state = entity._metadata;
    return state.isAvailable ? state.type.toJsonValue(state, entity, {}) : { id: entity.id };
  }

  /** Whether the next call may have it: not if code has changed a class, `addMethods` included. */
  const isAsMade = () => metamodel.isAsMade;

  return { createDb, createEntity, serialize, isAsMade };
}

module.exports = { createFactory };
