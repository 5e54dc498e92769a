// Objects of classes: their state, and what they can do.
'use strict';

const { Acl } = require('./acl');
const { PersistentError } = require('./errors');
const { Lockable, hidden } = require('./util');

const TYPE = Symbol('type');
const REF = Symbol('ref');

const UNAVAILABLE = -1; // a reference that was not loaded
const PERSISTENT = 0; // as it was last read or sent
const DIRTY = 1;

/** What an entity knows beside its fields. */
class Metadata extends Lockable {
  constructor(type) {
    super();
    this.type = type;
    this.id = null;
    this.version = null;
    this.state = DIRTY;
    this.enabled = true;
    this.entityManager = null;
    this.decodedKey = null;
  }

  static create(type, db) {
    if (type.isEntity) return new Metadata(type);
    if (type.isEmbeddable) return { type, db, setDirty() {} };
    throw new Error(`Illegal type ${type}`);
  }

  static get(entity) {
    return entity._metadata;
  }

  get db() {
    if (!this.entityManager) {
      throw new PersistentError(`${this.id || this.bucket} does not belong to a db yet, make it with new db.${this.bucket}()`);
    }
    return this.entityManager;
  }

  set db(db) {
    if (this.entityManager) throw new Error('DB has already been set.');
    this.entityManager = db;
  }

  get acl() {
    if (!this._acl) hidden(this, '_acl', new Acl());
    return this._acl;
  }

  get bucket() {
    return this.type.name;
  }

  get key() {
    if (!this.decodedKey && this.id) {
      this.decodedKey = decodeURIComponent(this.id.substring(this.id.lastIndexOf('/') + 1));
    }
    return this.decodedKey;
  }

  set key(value) {
    if (this.id) throw new Error('The id can\'t be set twice.');
    const key = `${value}`;
    this.id = `/db/${this.bucket}/${encodeURIComponent(key)}`;
    this.decodedKey = key;
  }

  get isAttached() {
    return !!this.entityManager;
  }

  get isAvailable() {
    return this.state > UNAVAILABLE;
  }

  get isPersistent() {
    return this.state === PERSISTENT;
  }

  get isDirty() {
    return this.state === DIRTY;
  }

  enable(enabled) {
    this.enabled = enabled;
  }

  throwUnloadedPropertyAccess(property) {
    if (this.enabled && this.state === UNAVAILABLE) {
      throw new PersistentError(`Illegal property access on ${this.id}#${property} , ensure that this reference is `
        + 'loaded before it\'s properties are accessed.');
    }
  }

  setUnavailable() {
    this.state = UNAVAILABLE;
  }

  setPersistent() {
    this.state = PERSISTENT;
  }

  setDirty() {
    this.state = DIRTY;
  }

  setRemoved() {
    if (!this.isAvailable) return;
    this.setDirty();
    this.version = null;
  }
}

/** What entities and embedded objects have in common. */
class Managed {
  constructor(properties) {
    Managed.init(this, properties);
  }

  static init(instance, properties) {
    const type = instance.constructor[TYPE];
    if (type.isEntity) Object.defineProperty(instance, '_metadata', { value: new Metadata(type), configurable: true });
    if (properties) Object.assign(instance, properties);
  }

  /** For classes that are plain functions. */
  static extend(child) {
    child.prototype = Object.create(this.prototype, { constructor: { value: child, configurable: true, writable: true } });
    child.extend = Managed.extend;
    return child;
  }

  toString() {
    return this.constructor[TYPE].ref;
  }

  toJSON() {
    const type = this.constructor[TYPE];
    return type.toJsonValue(Metadata.create(type), this, { persisting: false });
  }
}

class Entity extends Managed {
  get id() {
    return this._metadata.id;
  }

  set id(value) {
    const state = this._metadata;
    if (state.id) throw new Error(`The id can't be set twice: ${value}`);
    if (`${value}`.startsWith(`/db/${state.bucket}/`)) state.id = value;
    else state.key = value;
  }

  get key() {
    return this._metadata.key;
  }

  set key(value) {
    this._metadata.key = value;
  }

  get version() {
    return this._metadata.version;
  }

  get acl() {
    this._metadata.throwUnloadedPropertyAccess('acl');
    return this._metadata.acl;
  }

  attach(db) {
    db.attach(this);
  }

  ready(done) {
    return this._metadata.ready().then(() => this).then(done);
  }

  save(options, done, fail) {
    if (typeof options === 'function') return this.save({}, options, done);
    return this._metadata.db.save(this, options).then(done, fail);
  }

  insert(options, done, fail) {
    if (typeof options === 'function') return this.insert({}, options, done);
    return this._metadata.db.insert(this, options).then(done, fail);
  }

  update(options, done, fail) {
    if (typeof options === 'function') return this.update({}, options, done);
    return this._metadata.db.update(this, options).then(done, fail);
  }

  load(options, done, fail) {
    if (typeof options === 'function') return this.load({}, options, done);
    if (this.id === null) throw new PersistentError('This object can\'t be loaded, it does have an id.');
    return this._metadata.db.load(this.id, undefined, { local: true, ...options }).then(done, fail);
  }

  delete(options, done, fail) {
    if (typeof options === 'function') return this.delete({}, options, done);
    return this._metadata.db.delete(this, options).then(done, fail);
  }

  optimisticSave(change, done, fail) {
    return this._metadata.db.optimisticSave(this, change).then(done, fail);
  }

  attr() {
    throw new Error('Attr is not yet implemented.');
  }

  validate() {
    return this._metadata.db.validate(this);
  }

  partialUpdate(operations) {
    const { EntityPartialUpdateBuilder } = require('./partial-update');
    return new EntityPartialUpdateBuilder(this, operations);
  }

  /** All objects that refer to this one; one query per class that has such fields. */
  getReferencing(options) {
    const { db, type } = this._metadata;
    const queries = Array.from(type.getReferencing(db, options), ([source, fields]) => {
      const builder = db.createQueryBuilder(source.typeConstructor);
      const terms = Array.from(fields, (field) => builder.equal(field, this));
      return (terms.length === 1 ? terms[0] : builder.or(terms)).resultList();
    });
    return Promise.all(queries).then((results) => results.flat());
  }

  toString() {
    return this.id || this.constructor[TYPE].ref;
  }

  toJSON(options) {
    const chosen = typeof options === 'boolean' ? { excludeMetadata: options } : options;
    return this._metadata.type.toJsonValue(this._metadata, this, typeof chosen === 'object' ? chosen : {});
  }
}
for (const name of ['id', 'version', 'acl']) {
  Object.defineProperty(Entity.prototype, name, {
    ...Object.getOwnPropertyDescriptor(Entity.prototype, name), enumerable: true,
  });
}

/** Until a field has a value it is null, and not to be read at all while the object is not loaded. */
function defineField(proto, name) {
  Object.defineProperty(proto, name, {
    get() {
      this._metadata.throwUnloadedPropertyAccess(name);
      return null;
    },
    set(value) {
      this._metadata.throwUnloadedPropertyAccess(name);
      Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
    },
    configurable: true,
    enumerable: true,
  });
}

/** Makes JavaScript classes the classes of types. */
class Enhancer {
  static getBaqendType(constructor) {
    return constructor[TYPE];
  }

  static getIdentifier(constructor) {
    return constructor === Object ? '/db/Object' : constructor[REF];
  }

  static setIdentifier(constructor, ref) {
    constructor[REF] = ref;
  }

  createProxy(superClass) {
    return class Proxy extends superClass {};
  }

  enhance(type, constructor) {
    if (constructor[TYPE] === type) return;
    // A class of code outlives the schema that it was first used with.
    if (Object.hasOwn(constructor, TYPE) && constructor[TYPE].ref !== type.ref) {
      throw new Error('Type is already used by a different manager');
    }
    constructor[TYPE] = type;
    constructor[REF] = type.ref;
    this.enhancePrototype(constructor.prototype, type);
  }

  enhancePrototype(proto, type) {
    if (type.isEmbeddable) return;
    const { superType } = type;
    if (superType && superType.name === 'Object') {
      for (const attribute of superType.declaredAttributes) if (!attribute.isMetadata) defineField(proto, attribute.name);
    }
    for (const attribute of type.declaredAttributes) defineField(proto, attribute.name);
  }

  enhanceProperty(proto, attribute) {
    defineField(proto, attribute.name);
  }
}

module.exports = { Metadata, MetadataState: { UNAVAILABLE, PERSISTENT, DIRTY }, Managed, Entity, Enhancer };
