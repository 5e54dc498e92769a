// Fields of classes that hold one value, and the change tracking of all fields.
'use strict';

const { PersistenceType, PersistentAttributeType } = require('./basic-types');

const STATE = Symbol('state'); // on objects and collections: their values as they were last read or sent
const SIZE = Symbol('size');

function attach(object, key, value) {
  Object.defineProperty(object, key, { value, configurable: true });
  return value;
}

class Attribute {
  constructor(name, isMetadata) {
    this.isMetadata = !!isMetadata;
    this.name = name;
    this.order = null;
    this.declaringType = null;
    this.metadata = null;
  }

  static attachState(object, state, overwrite = false) {
    if (state !== undefined && (overwrite || object[STATE] === undefined)) attach(object, STATE, state);
    return object[STATE];
  }

  static attachSize(collection, size) {
    if (size !== undefined) attach(collection, SIZE, size);
    return collection[SIZE] || -1;
  }

  get persistentAttributeType() {
    return -1;
  }

  get isAssociation() {
    return this.persistentAttributeType > PersistentAttributeType.EMBEDDED;
  }

  get isCollection() {
    return this.persistentAttributeType === PersistentAttributeType.ELEMENT_COLLECTION;
  }

  init(declaringType, order) {
    if (this.declaringType) throw new Error('The attribute is already initialized.');
    this.declaringType = declaringType;
    this.order = order;
  }

  getValue(object) {
    return object[this.name];
  }

  setValue(object, value) {
    object[this.name] = value;
  }

  hasMetadata(key) {
    return !!this.metadata && key in this.metadata;
  }

  getMetadata(key) {
    return (this.hasMetadata(key) && this.metadata[key]) || null;
  }

  toJSON() {
    return { name: this.name, order: this.order, ...(this.metadata && { metadata: this.metadata }) };
  }
}
Object.assign(Attribute.prototype, { isId: false, isVersion: false, isAcl: false });
Attribute.PersistentAttributeType = PersistentAttributeType;

class SingularAttribute extends Attribute {
  constructor(name, type, isMetadata) {
    super(name, isMetadata);
    this.type = type;
  }

  get typeConstructor() {
    return this.type.typeConstructor;
  }

  get persistentAttributeType() {
    switch (this.type.persistenceType) {
      case PersistenceType.BASIC: return PersistentAttributeType.BASIC;
      case PersistenceType.EMBEDDABLE: return PersistentAttributeType.EMBEDDED;
      case PersistenceType.ENTITY: return PersistentAttributeType.ONE_TO_MANY;
      default: throw new Error('Unknown persistent attribute type.');
    }
  }

  getJsonValue(state, object, options) {
    const persisted = object[STATE] || attach(object, STATE, {});
    const value = this.getValue(object);
    const changed = persisted[this.name] !== value;
    if (options.persisting) persisted[this.name] = value;
    if (changed) state.setDirty();
    return this.type.toJsonValue(state, value, options);
  }

  setJsonValue(state, object, json, options) {
    const value = this.type.fromJsonValue(state, json, this.getValue(object), options);
    if (options.persisting) (object[STATE] || attach(object, STATE, {}))[this.name] = value;
    this.setValue(object, value);
  }

  toJSON() {
    return { type: this.type.ref, ...super.toJSON() };
  }
}

/** The id, the version, the rules: kept in an entity's metadata, not in fields. */
class IdAttribute extends SingularAttribute {
  getJsonValue(state) {
    return state.id || undefined;
  }

  setJsonValue(state, object, json) {
    if (!state.id) state.id = json;
  }
}

class VersionAttribute extends SingularAttribute {
  getJsonValue(state) {
    return state.version || undefined;
  }

  setJsonValue(state, object, json) {
    if (json) state.version = json;
  }
}

class AclAttribute extends SingularAttribute {
  getJsonValue(state, object, options) {
    const persisted = object[STATE] || attach(object, STATE, {});
    const before = persisted.acl || {};
    const acl = state.acl.toJSON();
    const unchanged = Object.entries(acl).every(([kind, rules]) => {
      const old = before[kind] || {};
      const refs = Object.keys(rules);
      return refs.length === Object.keys(old).length && refs.every((ref) => old[ref] === rules[ref]);
    });
    if (!unchanged) state.setDirty();
    if (options.persisting) persisted.acl = acl;
    return acl;
  }

  setJsonValue(state, object, json, options) {
    const acl = json || {};
    if (options.persisting) (object[STATE] || attach(object, STATE, {})).acl = acl;
    state.acl.fromJSON(acl);
  }
}

module.exports = {
  Attribute, SingularAttribute, IdAttribute, VersionAttribute, AclAttribute, PersistentAttributeType, STATE, SIZE, attach,
};
