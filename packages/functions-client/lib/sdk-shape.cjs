// Our client in the shape of the published package: what the package's own specs need around `db`
// (connections, factories of entity managers, a global db), which code inside of the server does not.
'use strict';

const path = require('node:path');
const { Readable } = require('node:stream');

const { connector } = require('./connector.cjs');

const CLIENT = path.resolve(__dirname, '../../../crates/fb-functions/js/client');
const client = (file) => require(path.join(CLIENT, file));
const { Acl } = client('acl');
const { Connector } = client('connector');
const { Metadata } = client('entity');
const { GeoPoint } = client('geo');
const { EntityManager, defineClass } = client('manager');
const { Metamodel, classes } = client('metamodel');
const { TokenStorage } = client('token');
const { Lockable, hidden } = client('util');
const statics = client('statics');

const toStream = (bytes) => Readable.from([bytes]);

class EntityManagerFactory extends Lockable {
  constructor(options = {}) {
    super();
    const opt = typeof options === 'string' ? { host: options } : options || {};
    this.metamodel = this.createMetamodel();
    this.tokenStorageFactory = TokenStorage;
    this.connectData = null;
    this.connection = null;
    this.tokenStorage = null;
    this.staleness = null;
    this.configure(opt);
    let isReady = true;
    let ready = new Promise((resolve) => { this.connected = resolve; });
    if (opt.host) this.connect(opt.host, opt.port, opt.secure, opt.basePath);
    else isReady = false;
    if (!this.tokenStorage) {
      isReady = false;
      ready = ready.then(() => this.tokenStorageFactory.create(this.connection.origin)).then((storage) => { this.tokenStorage = storage; });
    }
    if (opt.schema) {
      this.connectData = opt;
      this.metamodel.init(opt.schema);
    } else {
      isReady = false;
      ready = ready.then(() => this.send({ method: 'GET', path: '/connect', ok: [200] })).then(({ entity }) => {
        this.connectData = entity;
        if (!this.metamodel.isInitialized) this.metamodel.init(entity.schema);
        this.tokenStorage.update(entity.token);
      });
    }
    if (!isReady) this.withLock(() => ready, true);
  }

  get code() {
    const { Code } = client('code');
    return new Code(this.metamodel, this);
  }

  configure({ tokenStorage, tokenStorageFactory, staleness }) {
    if (this.connection) throw new Error('The EntityManagerFactory can only be configured before is is connected.');
    if (tokenStorage) this.tokenStorage = tokenStorage;
    if (tokenStorageFactory) this.tokenStorageFactory = tokenStorageFactory;
    if (staleness !== undefined) this.staleness = staleness;
  }

  connect(host) {
    if (this.connection) throw new Error('The EntityManagerFactory is already connected.');
    const { origin, pathname } = new URL(host);
    this.connection = new Connector(connector(host), origin, pathname, toStream);
    this.connected();
    return this.ready();
  }

  createMetamodel() {
    return new Metamodel(this);
  }

  createEntityManager(shared) {
    const db = new EntityManager(this, null, this.metamodel, null);
    hidden(db, '_report', () => {});
    const remember = (name, change) => hidden(db, name, (...args) => {
      if (shared && this.connectData) change(this.connectData, ...args);
      return EntityManager.prototype[name].apply(db, args);
    });
    remember('_updateUser', (data, json, isMe) => { if (isMe) data.user = json; });
    remember('_updateDevice', (data, json) => { data.device = json; });
    remember('_logout', (data) => { delete data.user; });
    const connected = () => {
      db.connection = this.connection;
      db.tokenStorage = shared ? this.tokenStorage : new TokenStorage(this.connection.origin);
      for (const ref of this.metamodel.refs()) defineClass(db, ref);
      if (!shared || !this.connectData) return;
      if (this.connectData.device) db._updateDevice(this.connectData.device);
      if (this.connectData.user) db._updateUser(this.connectData.user, true);
    };
    if (this.isReady) connected();
    else db.withLock(() => this.ready().then(connected), true);
    return db;
  }

  send(message) {
    return this.connection.send(message, this.tokenStorage || new TokenStorage());
  }
}

const db = (() => {
  const emf = new EntityManagerFactory();
  return Object.assign(emf.createEntityManager(true), {
    configure(options) {
      emf.configure(options);
      return this;
    },
    connect(host, secure, done, fail) {
      if (typeof secure === 'function') return this.connect(host, undefined, secure, done);
      emf.connect(host);
      return this.ready(done, fail);
    },
  });
})();
hidden(EntityManager.prototype, 'EntityManagerFactory', EntityManagerFactory);

// The package's objects belong to its global db where nothing else is known.
Object.defineProperty(Metadata.prototype, 'db', {
  ...Object.getOwnPropertyDescriptor(Metadata.prototype, 'db'),
  get() {
    this.entityManager ||= db;
    return this.entityManager;
  },
});

module.exports = {
  db, baqend: db, EntityManagerFactory, EntityManager, Acl, GeoPoint, metamodel: classes, ...statics,
  error: client('errors'), query: client('query'), partialupdate: client('partial-update'), connector: client('connector'),
  Set, Map, List: Array, default: db,
};
