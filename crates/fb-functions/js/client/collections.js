// Fields that hold lists, sets and maps.
'use strict';

const { Attribute, PersistentAttributeType, STATE, SIZE, attach } = require('./attributes');
const { PersistentError } = require('./errors');

const NONE = Object.create(null); // elements by what identifies them, which may be any text

const CollectionType = { COLLECTION: 0, LIST: 1, MAP: 2, SET: 3 };
for (const [name, number] of Object.entries(CollectionType)) CollectionType[number] = name;

class PluralAttribute extends Attribute {
  constructor(name, typeConstructor, elementType) {
    super(name);
    this.elementType = elementType;
    this.typeConstructor = typeConstructor;
  }

  get persistentAttributeType() {
    return PersistentAttributeType.ELEMENT_COLLECTION;
  }

  get collectionType() {
    return CollectionType.COLLECTION;
  }

  /** What identifies an element by its JSON. */
  keyValue(json) {
    return String(json && typeof json === 'object' && 'id' in json ? json.id : json);
  }

  collection(object) {
    const value = this.getValue(object);
    return value instanceof this.typeConstructor ? value : null;
  }

  /** Remembers in `value` what it held. */
  persisted(value, elements, size) {
    attach(value, STATE, elements);
    if (size !== undefined) attach(value, SIZE, size);
  }
}
PluralAttribute.CollectionType = CollectionType;

class CollectionAttribute extends PluralAttribute {}

class ListAttribute extends PluralAttribute {
  constructor(name, elementType) {
    super(name, Array, elementType);
  }

  static get ref() {
    return '/db/collection.List';
  }

  get collectionType() {
    return CollectionType.LIST;
  }

  getJsonValue(state, object, options) {
    const list = this.collection(object);
    if (!list) return null;
    const before = list[STATE];
    let changed = !before || before.length !== list.length;
    const json = Array.from(list, (element, index) => {
      changed ||= before[index] !== element;
      return this.elementType.toJsonValue(state, element, options);
    });
    if (options.persisting) this.persisted(list, list.slice());
    if (changed) state.setDirty();
    return json;
  }

  setJsonValue(state, object, json, options) {
    let list = null;
    if (json) {
      list = this.collection(object) || [];
      const before = list[STATE] || [];
      list.length = json.length;
      for (let i = 0; i < json.length; i += 1) {
        list[i] = this.elementType.fromJsonValue(state, json[i], before[i], options);
      }
      if (options.persisting) this.persisted(list, list.slice());
    }
    this.setValue(object, list);
  }

  toJSON() {
    return { type: `${ListAttribute.ref}[${this.elementType.ref}]`, ...super.toJSON() };
  }
}

class SetAttribute extends PluralAttribute {
  constructor(name, elementType) {
    super(name, Set, elementType);
  }

  static get ref() {
    return '/db/collection.Set';
  }

  get collectionType() {
    return CollectionType.SET;
  }

  getJsonValue(state, object, options) {
    const set = this.collection(object);
    if (!set) return null;
    const before = set[STATE] || NONE;
    const now = Object.create(null);
    let changed = (set[SIZE] || -1) !== set.size;
    const json = Array.from(set, (element) => {
      const value = this.elementType.toJsonValue(state, element, options);
      const key = this.keyValue(value);
      now[key] = element;
      changed ||= before[key] !== element;
      return value;
    });
    if (options.persisting) this.persisted(set, now, set.size);
    if (changed) state.setDirty();
    return json;
  }

  setJsonValue(state, object, json, options) {
    let set = null;
    if (json) {
      set = this.collection(object) || new Set();
      const before = set[STATE] || NONE;
      const now = Object.create(null);
      set.clear();
      for (const item of json) {
        const key = this.keyValue(item);
        now[key] = this.elementType.fromJsonValue(state, item, before[key], options);
        set.add(now[key]);
      }
      if (options.persisting) this.persisted(set, now, set.size);
    }
    this.setValue(object, set);
  }

  toJSON() {
    return { type: `${SetAttribute.ref}[${this.elementType.ref}]`, ...super.toJSON() };
  }
}

class MapAttribute extends PluralAttribute {
  constructor(name, keyType, elementType) {
    super(name, Map, elementType);
    this.keyType = keyType;
  }

  static get ref() {
    return '/db/collection.Map';
  }

  get collectionType() {
    return CollectionType.MAP;
  }

  getJsonValue(state, object, options) {
    const map = this.collection(object);
    if (!map) return null;
    const before = map[STATE] || NONE;
    const now = Object.create(null);
    const json = {};
    let changed = (map[SIZE] || -1) !== map.size;
    for (const [key, value] of map) {
      if (key === null || key === undefined) throw new PersistentError('Map keys can\'t be null nor undefined.');
      const name = this.keyValue(this.keyType.toJsonValue(state, key, options));
      json[name] = this.elementType.toJsonValue(state, value, options);
      now[name] = [key, value];
      changed ||= (before[name] || [])[1] !== value;
    }
    if (options.persisting) this.persisted(map, now, map.size);
    if (changed) state.setDirty();
    return json;
  }

  setJsonValue(state, object, json, options) {
    let map = null;
    if (json) {
      map = this.collection(object) || new Map();
      const before = map[STATE] || NONE;
      const now = Object.create(null);
      map.clear();
      for (const name of Object.keys(json)) {
        const [oldKey, oldValue] = before[name] || [];
        const key = this.keyType.fromJsonValue(state, name, oldKey, options);
        const value = this.elementType.fromJsonValue(state, json[name], oldValue, options);
        now[name] = [key, value];
        map.set(key, value);
      }
      if (options.persisting) this.persisted(map, now, map.size);
    }
    this.setValue(object, map);
  }

  toJSON() {
    return { type: `${MapAttribute.ref}[${this.keyType.ref},${this.elementType.ref}]`, ...super.toJSON() };
  }
}

module.exports = { PluralAttribute, CollectionAttribute, CollectionType, ListAttribute, SetAttribute, MapAttribute };
