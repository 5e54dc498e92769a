// Changes of the schema and of indexes, as methods of Metamodel.
'use strict';

const { StatusCode, url } = require('./connector');
const { ManagedType } = require('./types');

class DbIndex {
  /** The name of a field, `{name: 'asc'}`, or a list of these. */
  constructor(keys, unique) {
    if (typeof keys === 'string') this.keys = [{ [keys]: DbIndex.ASC }];
    else if (Array.isArray(keys)) this.keys = keys;
    else if (keys) this.keys = [keys];
    else throw new Error('The keys parameter must be an String, Object or Array.');
    this.unique = unique === true;
  }

  static fromJSON({ keys, unique }) {
    return new DbIndex(keys, unique);
  }

  get isCompound() {
    return this.keys.length > 1;
  }

  get isUnique() {
    return this.unique;
  }

  hasKey(name) {
    return this.keys.some((key) => key[name]);
  }

  toJSON() {
    return { unique: this.unique, keys: this.keys };
  }
}
DbIndex.ASC = 'asc';
DbIndex.DESC = 'desc';

function post(metamodel, path, body, ok) {
  return metamodel.entityManagerFactory.send({ method: 'POST', path, ok, body, type: 'json' });
}

function sendUpdate(metamodel, data) {
  return metamodel.withLock(() => (data instanceof ManagedType
    ? post(metamodel, url`/schema/${data.name}`, data.toJSON(), [200])
    : post(metamodel, '/schema', data, [200])));
}

module.exports = {
  DbIndex,

  load() {
    if (this.isInitialized) throw new Error('Metamodel is already initialized.');
    return this.withLock(() => this.entityManagerFactory.send({ method: 'GET', path: '/schema', ok: [200] }).then((response) => {
      this.init(response.entity);
      return this;
    }));
  },

  save(type) {
    return sendUpdate(this, type || this.toJSON()).then(() => this);
  },

  update(data) {
    return sendUpdate(this, data).then((response) => {
      this.fromJSON(response.entity);
      return this;
    });
  },

  createIndex(bucket, index) {
    return post(this, url`/index/${bucket}`, { ...index.toJSON(), drop: false }, [202]);
  },

  dropIndex(bucket, index) {
    return post(this, url`/index/${bucket}`, { ...index.toJSON(), drop: true }, [202]);
  },

  dropAllIndexes(bucket) {
    return this.entityManagerFactory.send({ method: 'DELETE', path: url`/index/${bucket}`, ok: [202] });
  },

  getIndexes(bucket) {
    return this.entityManagerFactory.send({ method: 'GET', path: url`/index/${bucket}`, ok: [200] })
      .then((response) => response.entity.map(DbIndex.fromJSON), (error) => {
        if (error.status === StatusCode.BUCKET_NOT_FOUND || error.status === StatusCode.OBJECT_NOT_FOUND) return null;
        throw error;
      });
  },
};
