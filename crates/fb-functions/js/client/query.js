// Queries: `db.Todo.find().equal('done', false).ascending('name').resultList()`.
'use strict';

const { url, withQuery } = require('./connector');
const { Entity } = require('./entity');

const MAX_URI_SIZE = 2000; // longer ones go into a body

const flatArgs = (args) => args.flat();

/** Sends a query in the URL, or in the body if it is long. `params` come before the query in a body's URL, after it else. */
function sendQuery(db, type, resource, query, params, uriSize) {
  const path = `${url`/db/${type.name}`}/${resource}`;
  if (uriSize > MAX_URI_SIZE) {
    return db.send({ method: 'POST', path: withQuery(path, params), ok: [200], body: query, type: 'text' });
  }
  return db.send({ method: 'GET', path: withQuery(path, { q: query, ...params }), ok: [200] });
}

class Query {
  constructor(entityManager, resultClass) {
    this.entityManager = entityManager;
    this.resultClass = resultClass;
  }

  ascending(field) {
    return this.addOrder(field, 1);
  }

  descending(field) {
    return this.addOrder(field, -1);
  }

  sort(sort) {
    if (typeof sort !== 'object' || Object.getPrototypeOf(sort) !== Object.prototype) throw new Error('sort must be an object.');
    return this.addOrder(sort);
  }

  offset(offset) {
    if (offset < 0) throw new Error('The offset can\'t be nagative.');
    return this.addOffset(offset);
  }

  limit(limit) {
    if (limit < 0) throw new Error('The limit can\'t be nagative.');
    return this.addLimit(limit);
  }
}
Query.MAX_URI_SIZE = MAX_URI_SIZE;

/** A query that can be run. */
class Node extends Query {
  constructor(entityManager, resultClass) {
    super(entityManager, resultClass);
    this.firstResult = 0;
    this.maxResults = -1;
    this.order = {};
  }

  resultList(options, done, fail) {
    if (typeof options === 'function') return this.resultList({}, options, done);
    return this._run(this.maxResults, options, true).then(done, fail);
  }

  singleResult(options, done, fail) {
    if (typeof options === 'function') return this.singleResult({}, options, done);
    return this._run(1, options, false).then((list) => (list.length ? list[0] : null)).then(done, fail);
  }

  count(done, fail) {
    const type = this._type();
    const query = this._filter();
    return sendQuery(this.entityManager, type, 'count', query, {}, this._host() + query.length)
      .then((response) => response.entity.count).then(done, fail);
  }

  addOrder(fieldOrSort, order) {
    if (typeof fieldOrSort === 'string') this.order[fieldOrSort] = order;
    else this.order = fieldOrSort;
    return this;
  }

  addOffset(offset) {
    this.firstResult = offset;
    return this;
  }

  addLimit(limit) {
    this.maxResults = limit;
    return this;
  }

  _run(count, options, countSort) {
    const type = this._type();
    const query = this._filter();
    const sort = JSON.stringify(this.order);
    const size = this._host() + query.length + (countSort ? sort.length : 0);
    return sendQuery(this.entityManager, type, 'query', query, { start: this.firstResult, count, sort }, size)
      .then(({ entity }) => this._results(entity, options));
  }

  _type() {
    const type = this.resultClass ? this.entityManager.metamodel.entity(this.resultClass) : null;
    if (!type) throw new Error('Only typed queries can be executed.');
    return type;
  }

  _host() {
    const { connection } = this.entityManager;
    return connection ? connection.host.length : 0;
  }

  _filter() {
    return JSON.stringify(this, function (key, json) {
      const value = this[key];
      if (value instanceof Date) return { $date: json };
      return value instanceof Entity ? value.id : json;
    });
  }

  _results(list, options) {
    const db = this.entityManager;
    return Promise.all(list.map((json) => {
      if (!json.id) return db.load(Object.keys(json)[0]);
      const entity = db.getReference(this.resultClass, json.id);
      entity._metadata.type.fromJsonValue(entity._metadata, json, entity, { persisting: true });
      return db.resolveDepth(entity, options);
    })).then((entities) => entities.filter((entity) => !!entity));
  }
}

/** What filters and builders can say of a field; rests on `addFilter`. */
const Condition = {
  where(conditions) {
    return this.addFilter(null, null, conditions);
  },

  equal(field, value) {
    return this.addFilter(field, null, value);
  },

  between(field, greater, less) {
    return this.addFilter(field, '$gt', greater).addFilter(field, '$lt', less);
  },

  isNull(field) {
    return this.equal(field, null);
  },

  isNotNull(field) {
    return this.addFilter(field, '$exists', true).addFilter(field, '$ne', null);
  },

  mod(field, divisor, remainder) {
    return this.addFilter(field, '$mod', [divisor, remainder]);
  },

  matches(field, regExp) {
    const reg = regExp instanceof RegExp ? regExp : new RegExp(regExp);
    if (reg.ignoreCase) throw new Error('RegExp.ignoreCase flag is not supported.');
    if (reg.global) throw new Error('RegExp.global flag is not supported.');
    if (!reg.source.startsWith('^')) {
      throw new Error('regExp must be an anchored expression, i.e. it must be started with a ^.');
    }
    const result = this.addFilter(field, '$regex', reg.source);
    return reg.multiline ? result.addFilter(field, '$options', 'm') : result;
  },

  near(field, { longitude, latitude }, maxDistance) {
    return this.addFilter(field, '$nearSphere', {
      $geometry: { type: 'Point', coordinates: [longitude, latitude] }, $maxDistance: maxDistance,
    });
  },

  withinPolygon(field, ...points) {
    const ring = flatArgs(points).map(({ longitude, latitude }) => [longitude, latitude]);
    return this.addFilter(field, '$geoWithin', { $geometry: { type: 'Polygon', coordinates: [ring] } });
  },
};
const COMPARE = {
  notEqual: '$ne', greaterThan: '$gt', greaterThanOrEqualTo: '$gte', lessThan: '$lt', lessThanOrEqualTo: '$lte', size: '$size',
};
for (const [name, operator] of Object.entries(COMPARE)) {
  Condition[name] = function (field, value) { return this.addFilter(field, operator, value); };
}
for (const [name, operator] of Object.entries({ in: '$in', notIn: '$nin', containsAll: '$all' })) {
  Condition[name] = function (field, ...values) { return this.addFilter(field, operator, flatArgs(values)); };
}
Object.assign(Condition, {
  eq: Condition.equal, ne: Condition.notEqual, lt: Condition.lessThan, le: Condition.lessThanOrEqualTo,
  gt: Condition.greaterThan, ge: Condition.greaterThanOrEqualTo, containsAny: Condition.in,
});

class Filter extends Node {
  constructor(entityManager, resultClass) {
    super(entityManager, resultClass);
    this.filter = {};
  }

  addFilter(field, operator, value) {
    if (field === null) {
      Object.assign(this.filter, value);
      return this;
    }
    if (typeof field !== 'string') throw new Error('Field must be a string.');
    if (!operator) {
      this.filter[field] = value;
      return this;
    }
    const current = this.filter[field];
    if (typeof current !== 'object' || Object.getPrototypeOf(current) !== Object.prototype) this.filter[field] = {};
    this.filter[field][operator] = value;
    return this;
  }

  toJSON() {
    return this.filter;
  }
}

class Operator extends Node {
  constructor(entityManager, resultClass, operator, childes) {
    super(entityManager, resultClass);
    this.operator = operator;
    this.childes = childes;
  }

  toJSON() {
    return { [this.operator]: this.childes };
  }
}

/** The start of a query: becomes a filter with its first condition. */
class Builder extends Query {
  and(...queries) {
    return this.addOperator('$and', flatArgs(queries));
  }

  or(...queries) {
    return this.addOperator('$or', flatArgs(queries));
  }

  nor(...queries) {
    return this.addOperator('$nor', flatArgs(queries));
  }

  resultList(...args) {
    return this.where({}).resultList(...args);
  }

  singleResult(...args) {
    return this.where({}).singleResult(...args);
  }

  count(...args) {
    return this.where({}).count(...args);
  }

  addOperator(operator, queries) {
    if (queries.length < 2) throw new Error(`Only two or more queries can be joined with an ${operator} operator.`);
    queries.forEach((query, index) => {
      if (!(query instanceof Node)) throw new Error(`Argument at index ${index} is not a query.`);
    });
    return new Operator(this.entityManager, this.resultClass, operator, queries);
  }
}
for (const name of ['addOrder', 'addFilter', 'addOffset', 'addLimit']) {
  Builder.prototype[name] = function (...args) {
    return new Filter(this.entityManager, this.resultClass)[name](...args);
  };
}
Object.assign(Builder.prototype, Condition);
Object.assign(Filter.prototype, Condition);

module.exports = { Query, Node, Condition, Filter, Operator, Builder, flatArgs, sendQuery };
