// `db.Todo`: makes, finds and loads objects of one class for one db.
'use strict';

/** Instances are functions, to be called with or without `new`. */
class Factory {
  static make(type) {
    const factory = function FactoryConstructor(...args) {
      return factory.newInstance(args);
    };
    Object.setPrototypeOf(factory, this.prototype);
    factory.prototype = type.prototype;
    factory.type = type;
    return factory;
  }

  new(...args) {
    return this.newInstance(args);
  }

  newInstance(args) {
    return Reflect.construct(this.type, Array.from(args || []));
  }
}
Object.setPrototypeOf(Factory.prototype, Function.prototype);

class ManagedFactory extends Factory {
  static create(managedType, db) {
    const factory = this.make(managedType.typeConstructor);
    factory.methods = factory.prototype;
    factory.managedType = managedType;
    factory.db = db;
    return factory;
  }

  fromJSON(json) {
    const { Metadata } = require('./entity');
    const state = Metadata.create(this.managedType, this.db);
    return this.managedType.fromJsonValue(state, json, this.newInstance(), { persisting: false });
  }

  addMethods(methods) {
    Object.assign(this.methods, methods);
  }

  addMethod(name, method) {
    this.methods[name] = method;
  }
}

class EntityFactory extends ManagedFactory {
  newInstance(args) {
    const instance = super.newInstance(args);
    instance._metadata.db = this.db;
    return instance;
  }

  load(id, options, done, fail) {
    if (typeof options === 'function') return this.load(id, {}, options, done);
    return this.db.load(this.managedType.typeConstructor, id, options).then(done, fail);
  }

  ref(id) {
    return this.db.getReference(this.managedType.ref, id);
  }

  fromJSON(json) {
    const object = this.db.getReference(this.managedType.ref, json.id);
    return this.managedType.fromJsonValue(object._metadata, json, object, { persisting: false });
  }

  find() {
    return this.db.createQueryBuilder(this.managedType.typeConstructor);
  }

  partialUpdate(id, operations) {
    return this.ref(id).partialUpdate(operations);
  }

  executeQuery(query, triggeredBy, ttl) {
    return this.db.executeQuery(this.managedType.typeConstructor, query, triggeredBy, ttl);
  }
}

module.exports = { Factory, ManagedFactory, EntityFactory };
