// `db.modules` calls other modules, `db.code` reads and writes code.
'use strict';

const { StatusCode, url, withQuery } = require('./connector');

class Modules {
  constructor(entityManager) {
    this.entityManager = entityManager;
  }

  get(bucket, query, options, done, fail) {
    if (typeof query === 'function') return this.get(bucket, {}, query, options, done);
    if (typeof options === 'function') return this.get(bucket, query, {}, options, done);
    const { responseType } = options || {};
    return this.send({
      method: 'GET', path: withQuery(url`/code/${bucket}`, query || ''), ok: [200, 204], responseType: responseType || null,
    }, done, fail);
  }

  post(bucket, body, options, done, fail) {
    if (typeof options === 'function') return this.post(bucket, body, {}, options, done);
    const { requestType, responseType, mimeType } = options || {};
    return this.send({
      method: 'POST', path: url`/code/${bucket}`, ok: [200, 204], body: body === undefined ? null : body, type: requestType,
      headers: { 'content-type': mimeType }, responseType: responseType || null,
    }, done, fail);
  }

  send(message, done, fail) {
    return this.entityManager.send(message).then((response) => response.entity).then(done, fail);
  }
}

class Code {
  constructor(metamodel, entityManager) {
    this.metamodel = metamodel;
    this.entityManagerFactory = entityManager;
  }

  /** The body of a function. */
  functionToString(fn) {
    if (!fn) return '';
    const text = fn.toString();
    return text.substring(text.indexOf('{') + 1, text.lastIndexOf('}')).replace(/^\n/, '').replace(/\n$/, '');
  }

  stringToFunction(signature, code) {
    return new Function(signature, code);
  }

  loadModules() {
    return this._send({ method: 'GET', path: '/code', ok: [200] }).then((response) => response.entity);
  }

  loadCode(type, codeType, asFunction = false) {
    return this._send({ method: 'GET', path: this._path(type, codeType), ok: [200], responseType: 'text' })
      .then((response) => this.parseCode(bucketOf(type), codeType, asFunction, response.entity), (error) => {
        if (error.status === StatusCode.OBJECT_NOT_FOUND) return null;
        throw error;
      });
  }

  saveCode(type, codeType, code) {
    const isFunction = typeof code === 'function';
    const body = isFunction ? this.functionToString(code) : code;
    return this._send({
      method: 'PUT', path: this._path(type, codeType), ok: [200, 202], body, type: 'text', responseType: 'text',
    }).then((response) => this.parseCode(bucketOf(type), codeType, isFunction, response.entity));
  }

  deleteCode(type, codeType) {
    return this._send({ method: 'DELETE', path: this._path(type, codeType), ok: [202, 204] }).then(() => null);
  }

  parseCode(bucket, codeType, asFunction, code) {
    if (!code || !asFunction) return code;
    if (codeType !== 'validate') return this.stringToFunction(['module', 'exports'], code);
    return this.stringToFunction(this.metamodel.entity(bucket).allAttributes().map(({ name }) => name), code);
  }

  _path(type, codeType) {
    return url`/code/${bucketOf(type)}/${codeType}`;
  }

  _send(message) {
    return this.entityManagerFactory.send(message);
  }
}

const bucketOf = (type) => (typeof type === 'string' ? type : type.name);

module.exports = { Modules, Code };
