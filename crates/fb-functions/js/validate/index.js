// Runs a class's validation code: `validate(checks, fields)`.
'use strict';

const library = require('./library');

// The value as code sees it: moments are Dates, everything else is the JSON it is stored as.
function valueOf({ type, value }) {
  if (typeof value !== 'string') return value === undefined ? null : value;
  switch (String(type).replace(/^\/db\//, '')) {
    case 'DateTime':
    case 'Date':
      return new Date(value);
    case 'Time':
      return new Date(`1970-01-01T${value}`);
    default:
      return value;
  }
}

class Validator {
  constructor(key, value) {
    this.key = key;
    this.errors = [];
    Object.defineProperty(this, 'value', { value, enumerable: true });
  }

  get isValid() {
    return this.errors.length === 0;
  }

  // An exception of `fn` is not a failed check: it ends the validation.
  is(error, fn) {
    if (error instanceof Function) return this.is('is', error);
    if (fn(this.value, library) === false) this.errors.push(error);
    return this;
  }

  toStringValue() {
    const { value } = this;
    return typeof value === 'string' || value instanceof Date ? value : JSON.stringify(value);
  }

  callMethod(method, errorMessage, argumentList) {
    try {
      if (library[method](this.toStringValue(), ...(argumentList || [])) === false) this.errors.push(errorMessage || method);
    } catch (e) {
      this.errors.push(errorMessage || e.message);
    }
    return this;
  }

  toJSON() {
    return { isValid: this.isValid, errors: this.errors };
  }
}

for (const name of Object.keys(library)) {
  if (!/^is|^(?:contains|equals|matches)$/.test(name)) continue;
  Validator.prototype[name] = function check(...args) {
    const error = typeof args[0] === 'string' ? args.shift() : null;
    return this.callMethod(name, error, args);
  };
}

// `checks` takes one validator for each field, in the order of `fields`. What it throws comes out as it is.
exports.validate = (checks, fields) => {
  const validators = Object.keys(fields).map((key) => new Validator(key, valueOf(fields[key])));
  checks.apply({}, validators);
  const result = {};
  for (const validator of validators) {
    Object.defineProperty(result, validator.key, { value: validator.toJSON(), enumerable: true, configurable: true, writable: true });
  }
  return { valid: validators.every((validator) => validator.isValid), result };
};

exports.Validator = Validator;
exports.library = library;
