// Locks, ids, bytes: what the other files share.
'use strict';

/** One exclusive operation at a time; whoever wants to wait for it uses `ready()`. */
class Lockable {
  get isReady() {
    return !this._locked;
  }

  ready(done, fail) {
    return (this._ready || Promise.resolve(this)).then(done, fail);
  }

  /** `critical`: after a failure the lock stays closed and `ready()` rejects. */
  withLock(operation, critical = false) {
    if (this._locked) throw new Error('Current operation has not been finished.');
    hidden(this, '_locked', true);
    let result;
    try {
      result = operation();
    } catch (error) {
      if (critical) hidden(this, '_ready', Promise.reject(error));
      else this._locked = false;
      throw error;
    }
    result = result.then((value) => {
      this._locked = false;
      return value;
    }, (error) => {
      if (!critical) this._locked = false;
      throw error;
    });
    hidden(this, '_ready', result.then(() => this, (error) => {
      if (critical) throw error;
      return this;
    }));
    return result;
  }
}

/** Sets a property that does not show when objects are listed. */
function hidden(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

/** A getter that replaces itself by its value, on the object that it is asked of. */
function lazy(target, name, make) {
  Object.defineProperty(target, name, {
    configurable: true,
    get() {
      const value = make.call(this, this);
      hidden(this, name, value);
      return value;
    },
    set(value) {
      hidden(this, name, value);
    },
  });
}

/** Makes methods that take callbacks after their options also take them in the place of the options. */
function callbacks(args, options, fallback) {
  return typeof args[options] === 'function' ? [fallback, args[options], args[options + 1]] : args.slice(options, options + 3);
}

function uuid() {
  if (globalThis.crypto && globalThis.crypto.randomUUID) return globalThis.crypto.randomUUID();
  return 'xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx'.replace(/[xy]/g, (c) => {
    const r = Math.floor(Math.random() * 16);
    return (c === 'x' ? r : (r & 3) | 8).toString(16);
  });
}

const withSlash = (path) => (path.endsWith('/') ? path : `${path}/`);

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** The bytes of base64 or base64url; whatever is no digit is skipped. */
function fromBase64(text) {
  const digits = text.replace(/-/g, '+').replace(/_/g, '/').replace(/[^A-Za-z0-9+/]/g, '');
  const bytes = new Uint8Array((digits.length * 3) >> 2);
  for (let i = 0, at = 0, bits = 0, held = 0; i < digits.length; i += 1) {
    bits = ((bits << 6) | DIGITS.indexOf(digits[i])) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at] = bits >> held;
      at += 1;
    }
  }
  return bytes;
}

function toBase64(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const n = (bytes[i] << 16) | ((bytes[i + 1] || 0) << 8) | (bytes[i + 2] || 0);
    text += DIGITS[n >> 18] + DIGITS[(n >> 12) & 63]
      + (i + 1 < bytes.length ? DIGITS[(n >> 6) & 63] : '=') + (i + 2 < bytes.length ? DIGITS[n & 63] : '=');
  }
  return text;
}

const atob = (text) => Array.from(fromBase64(text), (byte) => String.fromCharCode(byte)).join('');

module.exports = { Lockable, hidden, lazy, callbacks, uuid, withSlash, fromBase64, toBase64, atob };
