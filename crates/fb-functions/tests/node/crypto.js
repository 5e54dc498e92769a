const crypto = require('crypto');
const KEY = '0123456789abcdef0123456789abcdef';
const NAMES = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'SHA256', 'RSA-SHA256'];

exports.hashes = () => NAMES.map((name) => ['', 'abc', 'x'.repeat(300)].map((text) => crypto.createHash(name).update(text).digest('hex')));
exports.hmacs = () => NAMES.map((name) => ['', 'key', 'k'.repeat(200)].map((key) => crypto.createHmac(name, key).update('data').digest('base64')));
exports.pieces = () => [crypto.createHash('sha256').update('a').update(Buffer.from('b')).update('63', 'hex').digest('base64url'), crypto.createHash('md5').update('é', 'latin1').digest()];
exports.copy = () => {
  const hash = crypto.createHash('sha1').update('a');
  const other = hash.copy().update('b');
  return [hash.digest('hex'), other.digest('hex')];
};
exports.twice = () => {
  const hash = crypto.createHash('sha1');
  hash.digest();
  return hash.digest();
};
exports.unknownHash = () => {
  try {
    return crypto.createHash('nope');
  } catch (error) {
    return error.message;
  }
};
exports.unknownHmac = () => crypto.createHmac('nope', 'k');
exports.piped = async () => {
  const hash = crypto.createHash('sha256');
  require('stream').Readable.from([Buffer.from('ab'), Buffer.from('c')]).pipe(hash);
  const chunks = [];
  for await (const chunk of hash) chunks.push(chunk);
  return Buffer.concat(chunks).toString('hex');
};
for (const name of ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc', 'aes-128-ctr', 'aes-256-ctr', 'aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm']) {
  exports[name] = () => {
    const key = KEY.slice(0, Number(name.slice(4, 7)) / 8);
    const iv = name.endsWith('gcm') ? 'twelve bytes' : 'sixteen bytes iv';
    const isGcm = name.endsWith('gcm');
    return [0, 5, 16, 33].map((length) => {
      const text = 'secret text that is rather long, and longer'.slice(0, length);
      const cipher = crypto.createCipheriv(name, key, iv);
      if (isGcm) cipher.setAAD(Buffer.from('additional'));
      const pieces = [cipher.update(text.slice(0, 3), 'utf8'), cipher.update(text.slice(3), 'utf8'), cipher.final()];
      const tag = isGcm ? cipher.getAuthTag() : null;
      const decipher = crypto.createDecipheriv(name, key, iv);
      if (isGcm) decipher.setAAD(Buffer.from('additional')).setAuthTag(tag);
      const back = decipher.update(Buffer.concat(pieces), undefined, 'utf8') + decipher.final('utf8');
      return [pieces, tag, back];
    });
  };
}
exports.gcmOddIv = () => [8, 16, 60].map((length) => {
  const cipher = crypto.createCipheriv('aes-256-gcm', KEY, 'i'.repeat(length));
  return [cipher.update('abc', 'utf8', 'hex') + cipher.final('hex'), cipher.getAuthTag().toString('hex')];
});
exports.gcmForged = () => {
  const decipher = crypto.createDecipheriv('aes-256-gcm', KEY, 'twelve bytes').setAuthTag(Buffer.alloc(16));
  decipher.update('abcd', 'hex');
  try {
    return decipher.final();
  } catch (error) {
    return error.message;
  }
};
exports.cbcWrong = () => {
  const decipher = crypto.createDecipheriv('aes-256-cbc', KEY, 'sixteen bytes iv');
  decipher.update(Buffer.alloc(16));
  try {
    return decipher.final();
  } catch (error) {
    return error.code;
  }
};
exports.cbcWithoutPadding = () => {
  const cipher = crypto.createCipheriv('aes-128-cbc', KEY.slice(0, 16), 'sixteen bytes iv').setAutoPadding(false);
  return [cipher.update('0123456789abcdef', 'utf8', 'hex'), cipher.final('hex')];
};
exports.badKeys = () => [['aes-256-cbc', 'short', 'sixteen bytes iv'], ['aes-256-cbc', KEY, 'short'], ['nope', KEY, KEY]].map((args) => {
  try {
    return crypto.createCipheriv(...args) && 'fine';
  } catch (error) {
    return [error.code, error.message];
  }
});
exports.pbkdf2 = async () => [crypto.pbkdf2Sync('pw', 'salt', 1000, 40, 'sha256'), crypto.pbkdf2Sync('pw', 'salt', 10, 100, 'sha1'), await require('util').promisify(crypto.pbkdf2)('é', Buffer.from([1]), 5, 64, 'sha512')];
exports.pbkdf2Errors = () => crypto.pbkdf2Sync('pw', 'salt', 0, 10, 'sha1');
exports.scrypt = () => [crypto.scryptSync('pw', 'salt', 32, { N: 1024 }), crypto.scryptSync('pw', 'salt', 64)];
exports.hkdf = () => Buffer.from(crypto.hkdfSync('sha256', 'key', 'salt', 'info', 50));
exports.randoms = () => [crypto.randomBytes(5).length, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), Array.from({ length: 50 }, () => crypto.randomInt(3, 5)).every((n) => n === 3 || n === 4), crypto.getRandomValues(new Uint32Array(2)).length, crypto.randomFillSync(Buffer.alloc(3)).length];
exports.randomIntError = () => crypto.randomInt(5, 5);
exports.timingSafeEqual = () => [crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('a')), crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('b'))];
exports.timingSafeEqualLength = () => crypto.timingSafeEqual(Buffer.from('a'), Buffer.from('ab'));

// Made for these tests.
const rsa = `-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQD6cb90l5aY2iqy
KBcUGhoBmObvvo/+RV8jQe8pYHzjbAZ7c00qpZgqpWXy6GYt+b4C1bfkpEYA1Jws
tQi6f/Bi1lwCB3NyiZ5zTWg4fMe/WxC1FsSyTZN0o3GHOcygMhohga3GZA+sT6ao
9+6TpWD2rnUAMO5hCQarPuksY38muM27O2cKqBvc76r4pHSVvuV6xMDdnbCxRtFi
w05zPVmfcwMGQTaDDjIZwbOrvAL0bfA32xmGpojPq+C/RHD6wro4thCYe+KYbF/h
9GmcDvzzUSPgwp+Zv4zQ25jCNE1DqKsGLx8nvx2OdOOHYN2rIOwXYU6uVvrtURZ1
XTQiM6S/AgMBAAECggEAKLTWAyE5IPVjojB3oSn67Hk0nrwmaGmlzzPCJ+4Jw+dE
3co9vSmhjtudCKXd0dQ5c6QsLyAaTBFCpID0/xHuJF/QyvhOEKGuB5y0d2tPW4V1
ijw9/U3e9+2G9Y1J+rHEuInSO8r7bIJHxZ1YLFcMPcbZDTkReI6AhH4FuqlzZdCq
jZ4pAnK4YMDp3Zqfds+6gmZuW7DdqJZyp+vivGyVgsCBJMlnm3xaJlmn//cXGUMl
L1LS99fty9Dsmtt8ERBGq/PeFcnL2opdWwVJFbIN5WwmdBpHZxE3375akL1FZSSu
/PSKTh3z+wMF64+A57pBtdVeRv8RObDBwrS0yxhWmQKBgQD/qCSZmMxE3Y024NHw
egGDK8egSmnx4rfozAcK6sLm+CMvTYZOfY2swjNxKIDf3sMQNc32nBou/zoD8Isz
e9C3jY+fUm63eRVKaw4VyWbiNH2Vl6LbZrAKlKXvXEOcM7Fj/eknqWNIpBL/4rQ2
m1MKQHMUiYRVq0ZhoDwbMwZXFwKBgQD6x9BJoIEwU+FlKxjILKmDaA1iFctVw+Oh
PzkzrRahNnlcrDthKCNZ2JVw8NmQGKtx8GtMIdiMDHP7ug6uo/m4ITa2MQu1AXp0
VQjHnNw1h8dIN2Dd5OInCUA5gwootw8mmM4bB7YTdyZPU9/Z23QDdYhED4FuCGA4
RKI3iWIomQKBgHISWlJWhT5tBKdp5QLBzY7zp9zzlxYgrSKodrP+T/yy1zAyDS1U
hDSDamShR++b+7lt6HqS6HPz2bUMTXApXNWpyl2ycEhZNJDB98Ts2oUwGqD2yenP
hdkSvn9w0ZIO1qXhE3lo8S3mV7vpMbPz1jeKzk5playMAZlp36fbOob9AoGAHbaR
Cjg3Nlep7Ae4LveDuisY8tcsOWQ1U0SfbW0DsmQ26vEJNBDCZ4HO6wvOa1FQ9vYK
cIHOG4HaOCgqVyzciKF+zwVuoqqjLKdqm+QM/1awGPFey8uzs/ZXorjQ+lP+Oo9+
VBuMyi+i3WFNs41Z6JMDazT/G99oLyKKqdPgSnkCgYBv5+ojKmmNvqT1eOeEay0g
LD/7CnKAIAvdW4hb6D/dTc0O7HuwmxzW6NTyvk5irIvTj+e93LFcuI2ylVnNz3bH
AC9mJeJ0GN3w6EhPUzSLXPnMcHNUXD6gdHRvDAvNOEsrVzY7r6be71+N7OvgopDI
5QTQKX0xRN/jPG6D3GAVfw==
-----END PRIVATE KEY-----`;
const rsaPublic = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA+nG/dJeWmNoqsigXFBoa
AZjm776P/kVfI0HvKWB842wGe3NNKqWYKqVl8uhmLfm+AtW35KRGANScLLUIun/w
YtZcAgdzcomec01oOHzHv1sQtRbEsk2TdKNxhznMoDIaIYGtxmQPrE+mqPfuk6Vg
9q51ADDuYQkGqz7pLGN/JrjNuztnCqgb3O+q+KR0lb7lesTA3Z2wsUbRYsNOcz1Z
n3MDBkE2gw4yGcGzq7wC9G3wN9sZhqaIz6vgv0Rw+sK6OLYQmHvimGxf4fRpnA78
81Ej4MKfmb+M0NuYwjRNQ6irBi8fJ78djnTjh2DdqyDsF2FOrlb67VEWdV00IjOk
vwIDAQAB
-----END PUBLIC KEY-----`;
const ec = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIGhpQJpy4aO3y1OMt1eRCTaffEDDLgh9ci86f+4x5sEToAoGCCqGSM49
AwEHoUQDQgAEkp6GEHuxwocuY+KYjNKpIAw59tOv2Zr+wt4Xc1LC2lGpVXNtuny/
bWZYzeVcpEz7oEfGjeRS+/Qp+vy1y6b8MQ==
-----END EC PRIVATE KEY-----`;
const ecPublic = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEkp6GEHuxwocuY+KYjNKpIAw59tOv
2Zr+wt4Xc1LC2lGpVXNtuny/bWZYzeVcpEz7oEfGjeRS+/Qp+vy1y6b8MQ==
-----END PUBLIC KEY-----`;
const ed = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEICCo1brxl/yevgwe6KLKuqPff7Bg3Ewb/KiQZDXtlauh
-----END PRIVATE KEY-----`;
const edPublic = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAessIJklUWcI+pt7HDIIT5Rmtun/Cr3afYsMsjfbr5Jk=
-----END PUBLIC KEY-----`;
exports.rs256 = () => {
  const signature = crypto.createSign('RSA-SHA256').update('data').sign(rsa, 'base64');
  return [signature, crypto.createVerify('sha256').update('data').verify(rsaPublic, signature, 'base64'), crypto.createVerify('sha256').update('other').verify(rsaPublic, signature, 'base64')];
};
exports.ed25519 = () => {
  const signature = crypto.sign(null, Buffer.from('data'), ed);
  return [signature, crypto.verify(null, Buffer.from('data'), edPublic, signature)];
};
exports.es256 = () => ['der', 'ieee-p1363'].map((dsaEncoding) => {
  const signature = crypto.sign('sha256', Buffer.from('data'), { key: ec, dsaEncoding });
  return [crypto.verify('sha256', Buffer.from('data'), { key: ecPublic, dsaEncoding }, signature), crypto.verify('sha256', Buffer.from('dato'), { key: ecPublic, dsaEncoding }, signature)];
});
exports.subtle = async () => {
  const { subtle } = globalThis.crypto;
  const mac = await subtle.importKey('raw', Buffer.from('key'), { name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']);
  const signature = await subtle.sign('HMAC', mac, Buffer.from('data'));
  const aes = await subtle.importKey('raw', Buffer.from(KEY), 'AES-GCM', false, ['encrypt', 'decrypt']);
  const iv = Buffer.from('twelve bytes');
  const sealed = await subtle.encrypt({ name: 'AES-GCM', iv }, aes, Buffer.from('text'));
  const cbc = await subtle.importKey('raw', Buffer.from(KEY), 'AES-CBC', true, ['encrypt', 'decrypt']);
  const cbcSealed = await subtle.encrypt({ name: 'AES-CBC', iv: Buffer.from('sixteen bytes iv') }, cbc, Buffer.from('text'));
  return [await subtle.digest('SHA-256', Buffer.from('abc')), signature, await subtle.verify('HMAC', mac, signature, Buffer.from('data')), sealed, Buffer.from(await subtle.decrypt({ name: 'AES-GCM', iv }, aes, sealed)).toString(), cbcSealed, (await subtle.exportKey('jwk', cbc)).k];
};
