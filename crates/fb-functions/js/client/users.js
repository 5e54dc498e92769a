// Users and roles: their classes, `db.User`, logins inside of code.
'use strict';

const { StatusCode, url, withQuery } = require('./connector');
const { Entity } = require('./entity');
const { MFAError, PersistentError } = require('./errors');
const { EntityFactory } = require('./factories');

const LoginOption = { NO_LOGIN: -1, SESSION_LOGIN: 0, PERSIST_LOGIN: 1, '-1': 'NO_LOGIN', 0: 'SESSION_LOGIN', 1: 'PERSIST_LOGIN' };
const RETRY_MS = 5000; // how often a login by device code is tried

class User extends Entity {
  newPassword(currentPassword, password, done, fail) {
    return this._metadata.db.newPassword(this.username, currentPassword, password).then(done, fail);
  }

  changeUsername(newUsername, password, done, fail) {
    return this._metadata.db.changeUsername(this.username, newUsername, password).then(done, fail);
  }

  requestAPIToken(done, fail) {
    return this._metadata.db.requestAPIToken(this.constructor, this).then(done, fail);
  }
}

class Role extends Entity {
  hasUser(user) {
    return !!this.users && this.users.has(user);
  }

  addUser(user) {
    if (!(user instanceof User)) throw new Error('Only user instances can be added to a role.');
    if (!this.users) this.users = new Set();
    this.users.add(user);
  }

  removeUser(user) {
    if (!(user instanceof User)) throw new Error('Only user instances can be removed from a role.');
    if (this.users) this.users.delete(user);
  }
}

class UserFactory extends EntityFactory {
  get LoginOption() {
    return LoginOption;
  }

  get me() {
    return this.db.me;
  }

  register(user, password, loginOption = true, done, fail) {
    if (typeof loginOption === 'function') return this.register(user, password, true, loginOption, done);
    const entity = typeof user === 'string' ? this.fromJSON({ username: user }) : user;
    return this.db.register(entity, password, loginOption).then(done, fail);
  }

  login(username, password, loginOption = true, done, fail) {
    if (typeof loginOption === 'function') return this.login(username, password, true, loginOption, done);
    return this.db.login(username, password, loginOption).then(done, fail);
  }

  loginWithToken(token, loginOption, done, fail) {
    if (typeof loginOption === 'function') return this.loginWithToken(token, true, loginOption, done);
    this.db.token = token;
    return this.db.renew(loginOption).then(done, fail);
  }

  logout(done, fail) {
    return this.db.logout().then(done, fail);
  }

  /** `(username, password, newPassword)` or `(token, newPassword, [loginOption])` */
  newPassword(first, second, third, done, fail) {
    if (typeof third === 'string') return this.db.newPassword(first, second, third).then(done, fail);
    if (typeof third === 'function') return this.newPassword(first, second, true, third, done);
    return this.db.newPasswordWithToken(first, second, third).then(done, fail);
  }

  resetPassword(username, done, fail) {
    return this.db.resetPassword(username).then(done, fail);
  }

  changeUsername(username, newUsername, password, done, fail) {
    return this.db.changeUsername(username, newUsername, password).then(done, fail);
  }

  requestAPIToken(user, done, fail) {
    return this.db.requestAPIToken(this.managedType.typeConstructor, user).then(done, fail);
  }

  revokeAllTokens(user, done, fail) {
    return this.db.revokeAllTokens(this.managedType.typeConstructor, user).then(done, fail);
  }
}

UserFactory.DefaultOptions = {
  google: {
    width: 585, height: 545, scope: 'email', path: 'https://accounts.google.com/o/oauth2/auth?response_type=code&access_type=online',
  },
  facebook: { width: 1140, height: 640, scope: 'email', path: 'https://www.facebook.com/v7.0/dialog/oauth?response_type=code' },
  github: {
    width: 1040, height: 580, scope: 'user:email', path: 'https://github.com/login/oauth/authorize?response_type=code&access_type=online',
  },
  twitter: { version: 1, width: 740, height: 730 },
  linkedin: { width: 630, height: 530, scope: 'r_liteprofile', path: 'https://www.linkedin.com/oauth/v2/authorization?response_type=code' },
  salesforce: { width: 585, height: 545, scope: 'email' },
};
for (const name of ['Google', 'Facebook', 'GitHub', 'Twitter', 'LinkedIn', 'Salesforce']) {
  UserFactory.prototype[`loginWith${name}`] = function loginWithOAuth(clientID, options, done, fail) {
    if (typeof options === 'function') return loginWithOAuth.call(this, clientID, {}, options, done);
    const chosen = typeof clientID === 'string' ? { clientId: clientID } : clientID;
    const opt = { ...UserFactory.DefaultOptions[name.toLowerCase()], ...chosen, ...options };
    return Promise.resolve(this.db.loginWithOAuth(name, opt)).then(done, fail);
  };
}

const wantsLogin = (loginOption) => loginOption > LoginOption.NO_LOGIN;
const post = (path, body, ok = [200]) => ({ method: 'POST', path, ok, body, type: 'json' });

/** Methods of EntityManager. */
const account = {
  register(user, password, loginOption) {
    const login = wantsLogin(loginOption);
    if (this.me && login) throw new PersistentError('User is already logged in.');
    return this.withLock(() => this._userRequest(post('/db/User/register', { user, password, login }, [200, 204]), loginOption));
  },

  login(username, password, loginOption) {
    if (this.me) throw new PersistentError('User is already logged in.');
    return this.withLock(() => this._userRequest(post('/db/User/login', { username, password }), loginOption));
  },

  logout() {
    return this.withLock(() => this.send({ method: 'GET', path: '/db/User/logout', ok: [204] }).then(() => this._logout()));
  },

  renew(loginOption) {
    return this.withLock(() => this._userRequest({ method: 'GET', path: '/db/User/me', ok: [200] }, loginOption));
  },

  newPassword(username, password, newPassword) {
    return this.withLock(() => this.send(post('/db/User/password', { username, password, newPassword }))
      .then((response) => this._updateUser(response.entity)));
  },

  newPasswordWithToken(token, newPassword, loginOption) {
    return this.withLock(() => this._userRequest(post('/db/User/password', { token, newPassword }), loginOption));
  },

  resetPassword(username) {
    return this.send(post('/db/User/reset', { username }));
  },

  changeUsername(username, newUsername, password) {
    return this.send(post('/db/User/changeUsername', { username, newUsername, password }, [204]));
  },

  initMFA() {
    return this.send({ method: 'GET', path: '/db/User/mfa/init', ok: [200] })
      .then(({ entity: { qrCode, keyUri } }) => ({ qrCode, keyUri }));
  },

  finishMFA(code) {
    return this.send(post('/db/User/mfa/init', { code })).then(() => this.me);
  },

  async submitMFACode(code, authToken) {
    const global = !this.tokenStorage.temporary;
    return this.withLock(() => this._userRequest(
      post('/db/User/mfa/token', { authToken, code, global }),
      global ? LoginOption.PERSIST_LOGIN : LoginOption.SESSION_LOGIN,
    ));
  },

  disableMFA() {
    if (!this.me) throw new PersistentError('User not Logged in');
    return this.send({ method: 'DELETE', path: '/db/User/mfa', ok: [204] });
  },

  getMFAStatus() {
    return this.send({ method: 'GET', path: '/db/User/mfa/status', ok: [200] }).then((response) => response.entity);
  },

  /** The URL to send a browser to (with `redirect`), or a login that waits for a device code. */
  loginWithOAuth(provider, options) {
    const opt = { state: {}, loginOption: true, oAuthVersion: 2, ...options };
    if (this.me) throw new PersistentError('User is already logged in.');
    const name = provider.toLowerCase();
    if (opt.deviceCode) return loginWithDevice(this, name, opt);
    if (opt.oAuthVersion !== 1 && !opt.path) throw new Error('No OAuth path is provided to start the OAuth flow.');
    const { redirect, loginOption } = opt;
    if (!redirect) {
      throw new Error('The OAuth flow with a Pop-Up can only be issued in browsers. Add a redirect URL to the options to '
        + 'return to your app via that redirect after the OAuth flow succeed.');
    }
    const endpoint = `${this.connection.origin}${this.connection.basePath}/db/User/OAuth/${name}`;
    return opt.oAuthVersion === 1 ? endpoint : withQuery(opt.path, {
      client_id: opt.clientId,
      scope: opt.scope,
      state: JSON.stringify({ ...opt.state, redirect, loginOption }),
      redirect_uri: endpoint,
    });
  },

  requestAPIToken(entityClass, user) {
    return this.send({ method: 'POST', path: tokenPath(this, entityClass, user), ok: [200] }).then((response) => response.entity);
  },

  revokeAllTokens(entityClass, user) {
    return this.send({ method: 'DELETE', path: tokenPath(this, entityClass, user), ok: [204] });
  },

  _logout() {
    this.me = null;
    this.token = null;
  },

  _updateUser(json, isMe = false) {
    const user = this.getReference(json.id);
    const state = user._metadata;
    state.type.fromJsonValue(state, json, user, { persisting: true });
    if (isMe) this.me = user;
    return user;
  },

  _userRequest(message, loginOption = true) {
    const login = wantsLogin(loginOption);
    if (login) this.tokenStorage.temporary = loginOption < LoginOption.PERSIST_LOGIN;
    return this.send({ ...message, login }, !login).then(
      ({ entity }) => (entity ? this._updateUser(entity, login) : null),
      (error) => {
        if (error.status === StatusCode.OBJECT_NOT_FOUND) {
          if (login) this._logout();
          return null;
        }
        const second = error.status === StatusCode.FORBIDDEN && error.data && error.data['baqend-mfa-auth-token'];
        throw second ? new MFAError(second) : error;
      },
    );
  },
};

function tokenPath(db, entityClass, user) {
  const { key } = typeof user === 'string' ? db.getReference(entityClass, user) : user;
  return url`/db/User/${key}/token`;
}

function loginWithDevice(db, provider, opt) {
  const path = withQuery(url`/db/User/OAuth/${provider}`, { state: opt.deviceCode });
  return db._userRequest({ method: 'GET', path, ok: [200] }, opt.loginOption)
    .catch(() => new Promise((resolve) => { setTimeout(resolve, RETRY_MS); }).then(() => loginWithDevice(db, provider, opt)));
}

module.exports = { User, Role, UserFactory, LoginOption, account };
