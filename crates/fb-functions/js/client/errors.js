// The errors that operations of `db` reject with.
'use strict';

const { hidden } = require('./util');

class PersistentError extends Error {
  constructor(message, cause) {
    super(message || 'An unexpected persistent error occurred.');
    hidden(this, 'name', this.constructor.name);
    if (cause) {
      this.cause = cause;
      if (cause.stack) hidden(this, 'stack', `${this.stack}\nCaused By: ${cause.stack}`);
    }
  }

  static of(error) {
    return error instanceof PersistentError ? error : new PersistentError(null, error);
  }
}

class IllegalEntityError extends PersistentError {
  constructor(entity) {
    super(`Entity ${entity} is not a valid entity`);
    this.entity = entity;
  }
}

class EntityExistsError extends PersistentError {
  constructor(entity) {
    super(`The entity ${entity} is managed by a different db.`);
    this.entity = entity;
  }
}

class MFAError extends PersistentError {
  constructor(token) {
    super('MFA Required');
    this.token = token;
  }
}

/** An answer with a status that the request does not expect, or no answer (`status` 0). */
class CommunicationError extends PersistentError {
  /** `response`: `{status, entity?, error?}`; `entity` is the error's JSON as the server sent it. */
  constructor(request, response) {
    const info = response.entity || response.error || {};
    const what = response.status === 0 ? 'Request' : 'Response';
    super(info.message || (request && `Handling the ${what} for ${request.method} ${request.path}`)
      || 'A communication error occurred.', info);
    this.name = info.className || 'CommunicationError';
    this.reason = info.reason || 'Communication failed';
    this.status = response.status;
    if (info.data) this.data = info.data;
  }
}

module.exports = { PersistentError, IllegalEntityError, EntityExistsError, MFAError, CommunicationError };
