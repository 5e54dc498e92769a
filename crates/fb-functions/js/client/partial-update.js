// Partial updates: `db.Todo.partialUpdate(id).inc('votes').push('tags', 'new').execute()`.
'use strict';

const { url } = require('./connector');
const { Metadata } = require('./entity');

const OPERATIONS = new Set(['$add', '$and', '$currentDate', '$dec', '$inc', '$max', '$min', '$mul', '$or', '$pop', '$push', '$put',
  '$remove', '$rename', '$replace', '$set', '$shift', '$unshift', '$xor']);

class UpdateOperation {
  constructor(name, path, value) {
    this.name = name;
    this.path = path;
    this.value = value;
  }
}

function number(value, message) {
  if (typeof value !== 'number') throw new Error(message);
  return value;
}

class PartialUpdateBuilder {
  constructor(operations) {
    this.operations = [];
    if (operations) this.addOperations(operations);
  }

  set(field, value) {
    let json = value;
    if (value instanceof Set) json = Array.from(value);
    else if (value instanceof Map) json = Object.fromEntries(value);
    return this.addOperation(field, '$set', json);
  }

  inc(field, by) {
    return this.addOperation(field, '$inc', typeof by === 'number' ? by : 1);
  }

  dec(field, by) {
    return this.inc(field, typeof by === 'number' ? -by : -1);
  }

  mul(field, by) {
    return this.addOperation(field, '$mul', number(by, 'Multiplicator must be a number.'));
  }

  div(field, by) {
    return this.addOperation(field, '$mul', 1 / number(by, 'Divisor must be a number.'));
  }

  min(field, value) {
    return this.addOperation(field, '$min', number(value, 'Value must be a number'));
  }

  max(field, value) {
    return this.addOperation(field, '$max', number(value, 'Value must be a number'));
  }

  put(field, key, value) {
    const isKey = typeof key === 'string' || typeof key === 'number';
    return this.addOperation(field, '$put', isKey ? { [key]: value } : { ...key });
  }

  replace(path, index, item) {
    if (this.hasOperationOnPath(path)) throw new Error(`You cannot update ${path} multiple times`);
    return this.addOperation(`${path}.${index}`, '$replace', item);
  }

  toJSON() {
    const json = {};
    for (const { name, path, value } of this.operations) {
      json[name] ||= {};
      json[name][path] = value;
    }
    return json;
  }

  execute() {
    throw new Error('Cannot call "execute" on abstract PartialUpdateBuilder');
  }

  addOperation(path, name, value) {
    if (typeof path !== 'string') throw new Error('Path must be a string');
    if (!OPERATIONS.has(name)) throw new Error(`Operation invalid: ${name}`);
    if (this.hasOperationOnPath(path)) throw new Error(`You cannot update ${path} multiple times`);
    if (typeof value === 'number') {
      if (Number.isNaN(value)) throw new Error('NaN is not a supported value');
      if (!Number.isFinite(value)) throw new Error('Infinity is not a supported value');
    }
    this.operations.push(new UpdateOperation(name, path, value === undefined ? null : value));
    return this;
  }

  addOperations(json) {
    for (const [name, values] of Object.entries(json)) {
      for (const [path, value] of Object.entries(values)) this.operations.push(new UpdateOperation(name, path, value));
    }
  }

  hasOperationOnPath(path) {
    return this.operations.some((operation) => operation.path === path);
  }
}

const proto = PartialUpdateBuilder.prototype;
for (const name of ['remove', 'push', 'unshift', 'pop', 'shift', 'add', 'currentDate', 'and', 'or', 'xor', 'rename']) {
  const takesNothing = name === 'pop' || name === 'shift' || name === 'currentDate';
  proto[name] = function (field, value) {
    return this.addOperation(field, `$${name}`, takesNothing ? undefined : value);
  };
}
Object.assign(proto, {
  increment: proto.inc, decrement: proto.dec, multiply: proto.mul, divide: proto.div, atMost: proto.min, atLeast: proto.max,
  toNow: proto.currentDate,
});

class EntityPartialUpdateBuilder extends PartialUpdateBuilder {
  constructor(entity, operations) {
    super(operations);
    this.entity = entity;
  }

  execute() {
    const state = Metadata.get(this.entity);
    const message = {
      method: 'POST', path: url`/db/${state.bucket}/${state.key}`, ok: [200], body: JSON.stringify(this), type: 'json',
    };
    return state.withLock(() => state.db.send(message).then((response) => {
      state.type.fromJsonValue(state, response.entity, this.entity, { persisting: true });
      return this.entity;
    }));
  }
}

module.exports = { EntityPartialUpdateBuilder, PartialUpdateBuilder };
