// The token that a db got by a login inside of code.
'use strict';

class TokenStorage {
  constructor(origin, token, temporary) {
    this.origin = origin;
    this.temporary = !!temporary;
    this.tokenData = token ? TokenStorage.parse(token) : null;
  }

  static create(origin) {
    return Promise.resolve(new TokenStorage(origin));
  }

  static parse(token) {
    const cut = token.length - 40; // the rest is the signature
    return {
      val: token,
      createdAt: parseInt(token.substring(0, 8), 16) * 1000,
      expireAt: parseInt(token.substring(8, 16), 16) * 1000,
      sig: token.substring(cut),
      data: token.substring(0, cut),
    };
  }

  get token() {
    return this.tokenData ? this.tokenData.val : null;
  }

  /** A token that expires before the one that is there is from a cache, and ignored. */
  update(token) {
    const next = token ? TokenStorage.parse(token) : null;
    if (this.tokenData && next && this.tokenData.expireAt > next.expireAt) return;
    this.tokenData = next;
  }

  /** The encoded path, with a token that is good for nothing else. */
  async signPath(resource, sign = true) {
    const path = resource.split('/').map(encodeURIComponent).join('/');
    if (!this.tokenData || !sign) return path;
    const { data, sig } = this.tokenData;
    return `${path}?BAT=${data}${await TokenStorage.hmac(path + data, sig)}`;
  }
}
TokenStorage.hmac = (message, key) => require('./hmac').hmac(message, key);

module.exports = { TokenStorage };
