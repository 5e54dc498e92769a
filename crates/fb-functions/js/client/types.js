// Types of objects: classes of the schema, and the JSON of their objects.
'use strict';

const { Permission } = require('./acl');
const { AclAttribute, IdAttribute, VersionAttribute } = require('./attributes');
const { BasicType, PersistenceType, Type } = require('./basic-types');
const { Entity, Enhancer, Managed, Metadata } = require('./entity');

/** A class of the schema. Its fields are made of its JSON when they are first asked for. */
class ManagedType extends Type {
  constructor(ref, constructor) {
    super(ref.startsWith('/db/') ? ref : `/db/${ref}`, constructor);
    this.enhancer = null;
    this._info = null;
    this._isTouched = false;
    this._shape = null; // of the class when it was made: numbers of properties
    this.superType = null;
    this._declared = [];
    this._pending = null; // makes the fields
    this._rules = {}; // rule maps by permission, then Permissions
  }

  /** False once code may have changed something that all dbs of the factory share. */
  get isAsMade() {
    if (this._isTouched) return false;
    const made = this._shape;
    if (!made) return true;
    const { prototype } = made.constructor;
    return Reflect.ownKeys(prototype).length === made.inherited && Reflect.ownKeys(made.constructor).length === made.own
      && Object.getPrototypeOf(prototype) === made.base;
  }

  get metadata() {
    this._isTouched = true;
    return this._info;
  }

  set metadata(metadata) {
    this._isTouched = true;
    this._info = metadata;
  }

  get validationCode() {
    return this._validationCode || null;
  }

  set validationCode(code) {
    this._isTouched = true;
    this._validationCode = code;
  }

  get declaredAttributes() {
    if (this._pending) {
      const make = this._pending;
      const isTouched = this._isTouched;
      this._pending = null;
      make(this);
      this._isTouched = isTouched;
    }
    return this._declared;
  }

  set declaredAttributes(attributes) {
    this._declared = attributes;
  }

  get typeConstructor() {
    if (!this._typeConstructor) {
      const constructor = this.createProxyClass();
      this.enhancer.enhance(this, constructor);
      this._typeConstructor = constructor;
      const { prototype } = constructor;
      this._shape = {
        constructor, own: Reflect.ownKeys(constructor).length, inherited: Reflect.ownKeys(prototype).length, base: Object.getPrototypeOf(prototype),
      };
    }
    return this._typeConstructor;
  }

  set typeConstructor(constructor) {
    if (this._typeConstructor) throw new Error('Type constructor has already been set.');
    this.useConstructor(constructor);
  }

  /** Makes a class of code the class of this type, also if another one was before, in another call. */
  useConstructor(constructor) {
    if (constructor === this._typeConstructor) return;
    const isEntity = constructor.prototype instanceof Entity;
    if (this.isEntity) {
      if (!isEntity) throw new TypeError('Entity classes must extends the Entity class.');
    } else if (!(constructor.prototype instanceof Managed) || isEntity) {
      throw new TypeError('Embeddable classes must extends the Managed class.');
    }
    this._isTouched = true;
    this.enhancer.enhance(this, constructor);
    this._typeConstructor = constructor;
  }

  init(enhancer) {
    this.enhancer = enhancer;
    if (this._typeConstructor && !Enhancer.getIdentifier(this._typeConstructor)) {
      Enhancer.setIdentifier(this._typeConstructor, this.ref);
    }
  }

  /** Whether a value is an object of this type, maybe of a class that the type had before. */
  accepts(value) {
    if (value instanceof this.typeConstructor) return true;
    let type = value && value.constructor && Enhancer.getBaqendType(value.constructor);
    while (type && type !== this) type = type.superType;
    return !!type;
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
    this._isTouched = true;
    attribute.init(this, attribute.order || (order === undefined ? this.declaredAttributes.length : order));
    this.declaredAttributes.push(attribute);
    if (this.isEntity && this._typeConstructor && this.name !== 'Object') {
      this.enhancer.enhanceProperty(this._typeConstructor.prototype, attribute);
    }
  }

  removeAttribute(name) {
    const rest = this.declaredAttributes.filter((attribute) => attribute.name !== name);
    if (rest.length === this.declaredAttributes.length) throw new Error(`An Attribute with the name ${name} is not declared.`);
    this._isTouched = true;
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
    if (!this.accepts(object)) return null;
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
    return !!this._info && !!this._info[key];
  }

  getMetadata(key) {
    return this.hasMetadata(key) ? this._info[key] : null;
  }

  toJSON() {
    return {
      class: this.ref,
      fields: Object.fromEntries(this.declaredAttributes.filter(({ isMetadata }) => !isMetadata)
        .map((attribute) => [attribute.name, attribute])),
      acl: { schemaAdd: this.schemaAddPermission.toJSON(), schemaReplace: this.schemaReplacePermission.toJSON() },
      ...(this.superType && { superClass: this.superType.ref }),
      ...(this.isEmbeddable && { embedded: true }),
      ...(this._info && { metadata: this._info }),
    };
  }
}

function permissions(target, names) {
  for (const name of names) {
    Object.defineProperty(target.prototype, `${name}Permission`, {
      get() {
        this._isTouched = true;
        const rules = this._rules[name];
        if (rules instanceof Permission) return rules;
        this._rules[name] = Permission.fromJSON(rules || {});
        return this._rules[name];
      },
      set(permission) {
        this._isTouched = true;
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
    const object = json && !this.accepts(current) ? this.create() : current;
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
    if (state.db && this.accepts(object)) {
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

module.exports = { ManagedType, EmbeddableType, EntityType };
