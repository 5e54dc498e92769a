// Classes that code reaches through `db.util`, `db.binding` and `db.intersection`.
'use strict';

const { lazy, ...util } = require('./util');
const { Permission } = require('./acl');
const { Metadata, MetadataState, Managed, Entity, Enhancer } = require('./entity');
const { TokenStorage } = require('./token');

const intersection = { Metadata, MetadataState, Permission, TokenStorage };
lazy(intersection, 'Logger', () => require('./log').Logger);
lazy(intersection, 'Code', () => require('./code').Code);
lazy(intersection, 'Modules', () => require('./code').Modules);
lazy(intersection, 'PushMessage', () => require('./devices').PushMessage);

const binding = { Managed, Entity, Enhancer };
for (const name of ['Factory', 'ManagedFactory', 'EntityFactory']) lazy(binding, name, () => require('./factories')[name]);
for (const name of ['User', 'Role', 'UserFactory', 'LoginOption']) lazy(binding, name, () => require('./users')[name]);
for (const name of ['File', 'FileFactory']) lazy(binding, name, () => require('./files')[name]);
lazy(binding, 'DeviceFactory', () => require('./devices').DeviceFactory);

const { Lockable, uuid, atob, withSlash } = util;
const utilities = { Lockable, uuid, atob, trailingSlashIt: withSlash, isNode: true, hmac: (...args) => TokenStorage.hmac(...args) };
for (const name of ['Metadata', 'Permission', 'TokenStorage', 'Logger', 'Code', 'Modules', 'PushMessage']) {
  lazy(utilities, name, () => intersection[name]);
}

module.exports = { util: utilities, binding, intersection };
