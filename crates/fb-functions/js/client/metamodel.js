// The app's schema. Types are made of their JSON when they are first asked for.
'use strict';

const { Attribute, SingularAttribute } = require('./attributes');
const { BASIC_TYPES, BasicType, PersistenceType, Type } = require('./basic-types');
const collections = require('./collections');
const { Enhancer } = require('./entity');
const { PersistentError } = require('./errors');
const types = require('./types');
const { Lockable, hidden } = require('./util');

const { EmbeddableType, EntityType } = types;
const { ListAttribute, SetAttribute, MapAttribute } = collections;
const OBJECT = '/db/Object';

class Metamodel extends Lockable {
  /** `send`: makes the requests of `load`, `save`, `update` and of indexes; of a db, hence only its metamodel has one. */
  constructor(entityManagerFactory) {
    super();
    this.isInitialized = false;
    this.entityManagerFactory = entityManagerFactory;
    this.enhancer = new Enhancer();
    this._clear();
  }

  _clear() {
    hidden(this, '_json', new Map()); // of classes without a type so far, by ref
    hidden(this, '_entities', {});
    hidden(this, '_embeddables', {});
    hidden(this, '_baseTypes', {});
    hidden(this, '_names', null);
  }

  init(json) {
    if (this.isInitialized) throw new Error('Metamodel is already initialized.');
    this.fromJSON(json || []);
    this.isInitialized = true;
  }

  get entities() {
    this._buildAll();
    return this._entities;
  }

  get embeddables() {
    this._buildAll();
    return this._embeddables;
  }

  get baseTypes() {
    return this._baseTypes;
  }

  getRef(arg) {
    if (typeof arg === 'string') return arg.startsWith('/db/') ? arg : `/db/${arg}`;
    return Enhancer.getIdentifier(arg);
  }

  entity(arg) {
    return this._find(this.getRef(arg), '_entities');
  }

  embeddable(arg) {
    return this._find(this.getRef(arg), '_embeddables');
  }

  managedType(arg) {
    return this.entity(arg) || this.embeddable(arg);
  }

  baseType(arg) {
    if (typeof arg === 'string') return this._baseTypes[this.getRef(arg)];
    return Object.values(this._baseTypes).find((type) => !type.noResolving && type.typeConstructor === arg) || null;
  }

  /** False once code may have changed what all dbs of the factory share. */
  get isAsMade() {
    for (const types of [this._entities, this._embeddables]) {
      for (const ref in types) if (!types[ref].isAsMade) return false;
    }
    return true;
  }

  addType(type) {
    type._isTouched = true;
    return this._add(type);
  }

  _add(type) {
    let kind = '_baseTypes';
    if (!type.isBasic) {
      type.init(this.enhancer);
      kind = type.isEntity ? '_entities' : '_embeddables';
      if (type.isEntity && !type.superType && type.ref !== OBJECT) type.superType = this.entity(OBJECT);
    }
    if (this[kind][type.ref] || this._json.has(type.ref)) throw new Error(`The type ${type.ref} is already declared.`);
    this[kind][type.ref] = type;
    this._names = null;
    return type;
  }

  /** Refs of all classes, without making types. */
  refs() {
    this._names ||= [...new Set([...Object.keys(this._entities), ...Object.keys(this._embeddables), ...this._json.keys()])];
    return this._names;
  }

  fromJSON(json) {
    this._clear();
    for (const type of BASIC_TYPES) this._baseTypes[type.ref] = type;
    for (const one of json) this._json.set(one.class, one);
    if (!this._json.has(OBJECT)) this._json.set(OBJECT, { class: OBJECT, fields: {} });
  }

  toJSON() {
    if (!this.isInitialized) throw new Error('Metamodel is not initialized.');
    return [...Object.values(this.entities), ...Object.values(this.embeddables)].map((type) => type.toJSON());
  }

  _find(ref, kind) {
    if (!ref) return null;
    const type = this[kind][ref];
    if (type || !this._json.has(ref)) return type;
    this._build(ref);
    return this[kind][ref];
  }

  _buildAll() {
    for (const ref of this._json.keys()) this._build(ref);
  }

  _build(ref) {
    const json = this._json.get(ref);
    if (!json) throw new TypeError(`No model available for ${ref}`);
    this._json.delete(ref);
    let type;
    if (ref === OBJECT) type = new EntityType.Object();
    else if (json.embedded) type = new EmbeddableType(ref);
    else type = new EntityType(ref, this._model(json.superClass || OBJECT));
    type._info = json.metadata || {};
    type._rules = { ...json.acl };
    type._pending = () => {
      try {
        for (const [name, field] of Object.entries(json.fields || {})) {
          if (!type.getAttribute(name)) type.addAttribute(this._attribute(field), field.order);
        }
      } catch (error) {
        throw new PersistentError(`Can't create model for entity class ${ref}`, error);
      }
    };
    return this._add(type);
  }

  _model(ref) {
    return this._baseTypes[ref] || this._entities[ref] || this._embeddables[ref] || this._build(ref);
  }

  _attribute({ name, type, flags, metadata }) {
    if (!type.startsWith('/db/collection.')) {
      const isMetadata = flags && (flags.includes('METADATA') || flags.includes('READONLY'));
      const attribute = new SingularAttribute(name, this._model(type), isMetadata);
      attribute.metadata = metadata;
      return attribute;
    }
    const open = type.indexOf('[');
    const of = type.substring(open + 1, type.indexOf(']')).split(',').map((ref) => this._model(ref.trim()));
    switch (type.substring(0, open)) {
      case ListAttribute.ref: return new ListAttribute(name, of[0]);
      case SetAttribute.ref: return new SetAttribute(name, of[0]);
      case MapAttribute.ref: return new MapAttribute(name, of[0], of[1]);
      default: throw new TypeError(`No collection available for ${type}`);
    }
  }
}

const EDITS = ['load', 'save', 'update', 'createIndex', 'dropIndex', 'dropAllIndexes', 'getIndexes'];
for (const name of EDITS) {
  hidden(Metamodel.prototype, name, function (...args) {
    return require('./schema')[name].apply(this, args);
  });
}
const classes = { Metamodel, Type, PersistenceType, BasicType, Attribute, SingularAttribute, ...types, ...collections };
for (const [name, value] of Object.entries(classes)) hidden(Metamodel.prototype, name, value);
Object.defineProperty(Metamodel.prototype, 'DbIndex', { get: () => require('./schema').DbIndex });

module.exports = { Metamodel, classes };
