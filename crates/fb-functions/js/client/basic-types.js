// Types of values that are no objects of classes: how they become JSON, and JSON becomes values.
'use strict';

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

module.exports = { Type, PersistenceType, PersistentAttributeType, BasicType, BASIC_TYPES };
