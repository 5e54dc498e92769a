// Who may read and write: rule maps of users and roles.
'use strict';

function refOf(trusted) {
  const ref = typeof trusted === 'string' ? trusted : trusted.id;
  if (ref.startsWith('/db/User/') || ref.startsWith('/db/Role/')) return ref;
  throw new TypeError('The given object isn\'t a user, role or a valid reference.');
}

class Permission {
  constructor() {
    this.rules = {};
  }

  static fromJSON(json) {
    const permission = new this();
    permission.fromJSON(json);
    return permission;
  }

  allRules() {
    return Object.keys(this.rules);
  }

  clear() {
    this.rules = {};
  }

  copy(other) {
    this.rules = { ...other.rules };
    return this;
  }

  isPublicAllowed() {
    return !('*' in this.rules) && !Object.values(this.rules).includes('allow');
  }

  setPublicAllowed() {
    for (const ref of this.allRules()) if (this.rules[ref] === 'allow') delete this.rules[ref];
  }

  getRule(trusted) {
    return this.rules[refOf(trusted)];
  }

  isAllowed(trusted) {
    return this.getRule(trusted) === 'allow';
  }

  isDenied(trusted) {
    return this.getRule(trusted) === 'deny';
  }

  allowAccess(...trusted) {
    for (const one of trusted) this.rules[refOf(one)] = 'allow';
    return this;
  }

  denyAccess(...trusted) {
    for (const one of trusted) this.rules[refOf(one)] = 'deny';
    return this;
  }

  deleteAccess(...trusted) {
    for (const one of trusted) delete this.rules[refOf(one)];
    return this;
  }

  toJSON() {
    return { ...this.rules };
  }

  fromJSON(json) {
    this.rules = { ...json };
  }
}
Permission.BASE_PERMISSIONS = ['load', 'update', 'delete', 'query', 'insert'];

class Acl {
  constructor() {
    this.read = new Permission();
    this.write = new Permission();
  }

  clear() {
    this.read.clear();
    this.write.clear();
  }

  copy(other) {
    this.read.copy(other.read);
    this.write.copy(other.write);
    return this;
  }

  toJSON() {
    return { read: this.read.toJSON(), write: this.write.toJSON() };
  }

  fromJSON(json) {
    this.read.fromJSON(json.read);
    this.write.fromJSON(json.write);
  }
}

function method(name, body) {
  Object.defineProperty(Acl.prototype, name, { value: body, writable: true, configurable: true });
}

for (const [kind, Kind] of [['read', 'Read'], ['write', 'Write']]) {
  method(`isPublic${Kind}Allowed`, function () { return this[kind].isPublicAllowed(); });
  method(`setPublic${Kind}Allowed`, function () { this[kind].setPublicAllowed(); });
  method(`is${Kind}Allowed`, function (trusted) { return this[kind].isAllowed(trusted); });
  method(`is${Kind}Denied`, function (trusted) { return this[kind].isDenied(trusted); });
  for (const verb of ['allow', 'deny', 'delete']) {
    method(`${verb}${Kind}Access`, function (...trusted) {
      this[kind][`${verb}Access`](...trusted);
      return this;
    });
  }
}

module.exports = { Acl, Permission };
