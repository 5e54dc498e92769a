// Types of the schema: how values become JSON, and JSON becomes values.
'use strict';

const { Permission } = require('./acl');
const { Entity, Enhancer, Managed, Metadata } = require('./entity');
const { GeoPoint } = require('./geo');

const PersistenceType = { BASIC: 0, EMBEDDABLE: 1, ENTITY: 2, MAPPED_SUPERCLASS: 3 };
const PersistentAttributeType = {
  BASIC: 0, ELEMENT_COLLECTION: 1, EMBEDDED: 2, MANY_TO_MANY: 3, MANY_TO_ONE: 4, ONE_TO_MANY: 5, ONE_TO_ONE: 6,
};
for (const names of [PersistenceType, PersistentAttributeType]) {
  for (const [name, number] of Object.entries(names)) names[number] = name;
}

class Type {
  constructor(ref, constructor) {
    if (!ref.startsWith('/db/')) throw new SyntaxError(`Type ref ${ref} is invalid.`);
    this.ref = ref;
    this.name = ref.substring(4);
    this._typeConstructor = constructor;
  }

  get persistenceType() {
    return -1;
  }

  get isBasic() {
    return this.persistenceType === PersistenceType.BASIC;
  }

  get isEmbeddable() {
    return this.persistenceType === PersistenceType.EMBEDDABLE;
  }

  get isEntity() {
    return this.persistenceType === PersistenceType.ENTITY;
  }

  get isMappedSuperclass() {
    return this.persistenceType === PersistenceType.MAPPED_SUPERCLASS;
  }

  get typeConstructor() {
    return this._typeConstructor;
  }

  set typeConstructor(constructor) {
    if (this._typeConstructor) throw new Error('typeConstructor has already been set.');
    this._typeConstructor = constructor;
  }
}

class BasicType extends Type {
  constructor(ref, constructor, noResolving) {
    super(ref.startsWith('/db/') ? ref : `/db/${ref}`, constructor);
    this.noResolving = !!noResolving;
  }

  get persistenceType() {
    return PersistenceType.BASIC;
  }

  toJsonValue(state, value) {
    return value === null || value === undefined ? null : this.typeConstructor(value);
  }

  fromJsonValue(state, json) {
    return json === null || json === undefined ? null : json;
  }

  toString() {
    return `BasicType(${this.ref})`;
  }
}

/** ISO 8601 without zeros at the end of the seconds' fraction. */
const dateToJson = (value) => (value instanceof Date ? value.toISOString().replace(/\.?0*Z/, 'Z') : null);

/** The same Date object for the same moment, so that nothing counts as changed. */
function jsonToDate(json, current) {
  const date = typeof json === 'string' ? new Date(json) : null;
  return date && current instanceof Date && +current === +date ? current : date;
}

function basic(name, constructor, toJson, fromJson) {
  const type = new BasicType(name, constructor);
  if (toJson) type.toJsonValue = (state, value) => toJson(value);
  if (fromJson) type.fromJsonValue = (state, json, current) => fromJson(json, current, state);
  BasicType[name] = type;
}

const same = (json) => (json === null || json === undefined ? null : json);
basic('Boolean', Boolean, null, (json) => (typeof json === 'string' ? json !== 'false' : same(json)));
basic('Double', Number, null, (json) => (typeof json === 'string' ? parseFloat(json) : same(json)));
basic('Integer', Number, null, (json) => (typeof json === 'string' ? parseInt(json, 10) : same(json)));
basic('String', String);
basic('DateTime', Date, dateToJson, jsonToDate);
basic('Date', Date, (value) => {
  const json = dateToJson(value);
  return json && json.substring(0, json.indexOf('T'));
}, jsonToDate);
basic('Time', Date, (value) => {
  const json = dateToJson(value);
  return json && json.substring(json.indexOf('T') + 1);
}, (json, current) => (typeof json === 'string' ? jsonToDate(`1970-01-01T${json}`, current) : null));
basic('File', null, (value) => (value && value instanceof require('./files').File ? value.id : null), (json, current, state) => {
  if (!json) return null;
  if (current && current.id === json) return current;
  return state.db ? new state.db.File(json) : null;
});
Object.defineProperty(BasicType.File, 'typeConstructor', { get: () => require('./files').File });
basic('GeoPoint', GeoPoint, (value) => (value instanceof GeoPoint ? value.toJSON() : null), (json) => (json ? new GeoPoint(json) : null));
const array = (value) => (Array.isArray(value) ? value : null);
basic('JsonArray', Array, array, array);
basic('JsonObject', Object, (value) => (value && value.constructor === Object ? value : null));
const BASIC_TYPES = Object.values(BasicType);

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

/** A class of the schema. Its fields are made of its JSON when they are first asked for. */
class ManagedType extends Type {
  constructor(ref, constructor) {
    super(ref.startsWith('/db/') ? ref : `/db/${ref}`, constructor);
    this.enhancer = null;
    this.metadata = null;
    this.superType = null;
    this._declared = [];
    this._pending = null; // makes the fields
    this._rules = {}; // rule maps by permission, then Permissions
  }

  get validationCode() {
    return this._validationCode || null;
  }

  set validationCode(code) {
    this._validationCode = code;
  }

  get declaredAttributes() {
    if (this._pending) {
      const make = this._pending;
      this._pending = null;
      make(this);
    }
    return this._declared;
  }

  set declaredAttributes(attributes) {
    this._declared = attributes;
  }

  get typeConstructor() {
    if (!this._typeConstructor) this.typeConstructor = this.createProxyClass();
    return this._typeConstructor;
  }

  set typeConstructor(constructor) {
    if (this._typeConstructor) throw new Error('Type constructor has already been set.');
    const isEntity = constructor.prototype instanceof Entity;
    if (this.isEntity) {
      if (!isEntity) throw new TypeError('Entity classes must extends the Entity class.');
    } else if (!(constructor.prototype instanceof Managed) || isEntity) {
      throw new TypeError('Embeddable classes must extends the Managed class.');
    }
    this.enhancer.enhance(this, constructor);
    this._typeConstructor = constructor;
  }

  init(enhancer) {
    this.enhancer = enhancer;
    if (this._typeConstructor && !Enhancer.getIdentifier(this._typeConstructor)) {
      Enhancer.setIdentifier(this._typeConstructor, this.ref);
    }
  }

  /** A new object, without calling the class's constructor. */
  create() {
    const instance = Object.create(this.typeConstructor.prototype);
    Managed.init(instance);
    return instance;
  }

  /** Inherited fields first. */
  allAttributes() {
    const own = this.declaredAttributes;
    return this.superType ? [...this.superType.allAttributes(), ...own] : own;
  }

  attributes() {
    return this.allAttributes()[Symbol.iterator]();
  }

  addAttribute(attribute, order) {
    if (this.getAttribute(attribute.name)) {
      throw new Error(`An attribute with the name ${attribute.name} is already declared.`);
    }
    attribute.init(this, attribute.order || (order === undefined ? this.declaredAttributes.length : order));
    this.declaredAttributes.push(attribute);
    if (this._typeConstructor && this.name !== 'Object') {
      this.enhancer.enhanceProperty(this._typeConstructor.prototype, attribute);
    }
  }

  removeAttribute(name) {
    const rest = this.declaredAttributes.filter((attribute) => attribute.name !== name);
    if (rest.length === this.declaredAttributes.length) throw new Error(`An Attribute with the name ${name} is not declared.`);
    this.declaredAttributes = rest;
  }

  getAttribute(name) {
    return this.getDeclaredAttribute(name) || (this.superType ? this.superType.getAttribute(name) : null);
  }

  getDeclaredAttribute(nameOrOrder) {
    return this.declaredAttributes.find(({ name, order }) => name === nameOrOrder || order === nameOrOrder) || null;
  }

  fromJsonValue(state, json, object, options) {
    if (!json || !object) return null;
    for (const attribute of this.allAttributes()) {
      if (!options.onlyMetadata || attribute.isMetadata) attribute.setJsonValue(state, object, json[attribute.name], options);
    }
    return object;
  }

  toJsonValue(state, object, options) {
    if (!(object instanceof this.typeConstructor)) return null;
    const json = {};
    for (const attribute of this.allAttributes()) {
      if (!options.excludeMetadata || !attribute.isMetadata) json[attribute.name] = attribute.getJsonValue(state, object, options);
    }
    return json;
  }

  /** Paths of the fields that refer to entities, also within embedded objects. */
  * references() {
    for (const attribute of this.allAttributes()) {
      const type = attribute.isCollection ? attribute.elementType : attribute.type;
      if (type.isEntity) yield { path: [attribute.name] };
      else if (type.isEmbeddable) for (const { path } of type.references()) yield { path: [attribute.name, ...path] };
    }
  }

  hasMetadata(key) {
    return !!this.metadata && !!this.metadata[key];
  }

  getMetadata(key) {
    return this.hasMetadata(key) ? this.metadata[key] : null;
  }

  toJSON() {
    return {
      class: this.ref,
      fields: Object.fromEntries(this.declaredAttributes.filter(({ isMetadata }) => !isMetadata)
        .map((attribute) => [attribute.name, attribute])),
      acl: { schemaAdd: this.schemaAddPermission.toJSON(), schemaReplace: this.schemaReplacePermission.toJSON() },
      ...(this.superType && { superClass: this.superType.ref }),
      ...(this.isEmbeddable && { embedded: true }),
      ...(this.metadata && { metadata: this.metadata }),
    };
  }
}

function permissions(target, names) {
  for (const name of names) {
    Object.defineProperty(target.prototype, `${name}Permission`, {
      get() {
        const rules = this._rules[name];
        if (rules instanceof Permission) return rules;
        this._rules[name] = Permission.fromJSON(rules || {});
        return this._rules[name];
      },
      set(permission) {
        this._rules[name] = permission;
      },
      configurable: true,
      enumerable: true,
    });
  }
}
const ENTITY_PERMISSIONS = ['schemaSubclass', 'load', 'insert', 'update', 'delete', 'query'];
permissions(ManagedType, ['schemaAdd', 'schemaReplace']);

class EmbeddableType extends ManagedType {
  get persistenceType() {
    return PersistenceType.EMBEDDABLE;
  }

  createProxyClass() {
    return this.enhancer.createProxy(Managed);
  }

  createObjectFactory(db) {
    return require('./factories').ManagedFactory.create(this, db);
  }

  fromJsonValue(state, json, current, options) {
    const object = json && !(current instanceof this.typeConstructor) ? this.create() : current;
    return super.fromJsonValue(state, json, object, options);
  }

  toString() {
    return `EmbeddableType(${this.ref})`;
  }
}

class EntityType extends ManagedType {
  constructor(ref, superType, constructor) {
    super(ref, constructor);
    this.superType = superType;
    this.declaredId = null;
    this.declaredVersion = null;
    this.declaredAcl = null;
  }

  get persistenceType() {
    return PersistenceType.ENTITY;
  }

  get id() {
    return this.declaredId || this.superType.id;
  }

  get version() {
    return this.declaredVersion || this.superType.version;
  }

  get acl() {
    return this.declaredAcl || this.superType.acl;
  }

  createProxyClass() {
    let superClass = this.superType.typeConstructor;
    if (superClass === Object) {
      superClass = this.name === 'User' || this.name === 'Role' ? require('./users')[this.name] : Entity;
    }
    return this.enhancer.createProxy(superClass);
  }

  createObjectFactory(db) {
    if (this.name === 'User') return require('./users').UserFactory.create(this, db);
    if (this.name === 'Device') return require('./devices').DeviceFactory.create(this, db);
    return require('./factories').EntityFactory.create(this, db);
  }

  /** Map of type → names of its fields that hold objects of this type. */
  getReferencing(db, options) {
    const { classes } = options || {};
    const found = new Map();
    for (const [ref, type] of Object.entries(db.metamodel.entities)) {
      if (classes && !classes.includes(ref)) continue;
      for (const attribute of type.allAttributes()) {
        if ((attribute.isCollection ? attribute.elementType : attribute.type) !== this) continue;
        const source = attribute.declaringType;
        if (!found.has(source)) found.set(source, new Set());
        found.get(source).add(attribute.name);
      }
    }
    return found;
  }

  fromJsonValue(state, json, current, options) {
    if (typeof json === 'string') return (state.db && state.db.getReference(json)) || null;
    if (!json || typeof json !== 'object') return null;
    const { persisting = false, onlyMetadata = false } = options || {};
    let object = null;
    if (current) {
      const { id } = current._metadata;
      if (!json.id || !id || json.id === id) object = current;
    }
    object = object || (state.db && state.db.getReference(this.typeConstructor, json.id));
    if (!object) return null;
    const own = object._metadata;
    own.enable(false);
    super.fromJsonValue(own, json, object, { persisting, onlyMetadata });
    own.enable(true);
    if (persisting) own.setPersistent();
    else if (!onlyMetadata) own.setDirty();
    return object;
  }

  toJsonValue(state, object, options) {
    const { depth = 0, persisting = false } = options || {};
    const own = object && Metadata.get(object);
    if ((depth === true || depth > -1) && own && own.isAvailable) {
      own.enable(false);
      const json = super.toJsonValue(own, object, { ...options, persisting, depth: depth === true ? true : depth - 1 });
      own.enable(true);
      return json;
    }
    if (state.db && object instanceof this.typeConstructor) {
      object.attach(state.db);
      return object.id;
    }
    return null;
  }

  toString() {
    return `EntityType(${this.ref})`;
  }

  toJSON() {
    const { acl, ...json } = super.toJSON();
    for (const name of ENTITY_PERMISSIONS) acl[name] = this[`${name}Permission`].toJSON();
    return { ...json, acl };
  }
}
permissions(EntityType, ENTITY_PERMISSIONS);

/** The root of all entity classes. */
EntityType.Object = class ObjectType extends EntityType {
  static get ref() {
    return '/db/Object';
  }

  constructor() {
    super('/db/Object', null, Object);
    this.declaredId = new IdAttribute('id', BasicType.String, true);
    this.declaredVersion = new VersionAttribute('version', BasicType.Integer, true);
    this.declaredAcl = new AclAttribute('acl', BasicType.JsonObject, true);
    this.declaredId.isId = true;
    this.declaredVersion.isVersion = true;
    this.declaredAcl.isAcl = true;
    this._declared = [this.declaredId, this.declaredVersion, this.declaredAcl];
    this._declared.forEach((attribute, order) => attribute.init(this, order));
  }

  createObjectFactory() {
    throw new Error('Objects can\'t be directly created and persisted');
  }
};

module.exports = {
  Type, PersistenceType, PersistentAttributeType, BasicType, BASIC_TYPES, Attribute, SingularAttribute, ManagedType,
  EmbeddableType, EntityType, STATE, SIZE, attach,
};
