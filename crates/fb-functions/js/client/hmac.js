// HMAC-SHA1 of ASCII texts, in hex, for URLs that carry their own token.
'use strict';

const BLOCK = 64;
const rotate = (n, by) => (n << by) | (n >>> (32 - by));

/** FIPS 180-4. */
function sha1(bytes) {
  const size = ((bytes.length + 8) >> 6) + 1;
  const words = new Int32Array(size * 16);
  bytes.forEach((byte, i) => { words[i >> 2] |= byte << (24 - (i % 4) * 8); });
  words[bytes.length >> 2] |= 0x80 << (24 - (bytes.length % 4) * 8);
  words[size * 16 - 1] = bytes.length * 8;
  const h = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const w = new Int32Array(80);
  for (let at = 0; at < words.length; at += 16) {
    let [a, b, c, d, e] = h;
    for (let i = 0; i < 80; i += 1) {
      w[i] = i < 16 ? words[at + i] : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
      let f;
      if (i < 20) f = ((b & c) | (~b & d)) + 0x5a827999;
      else if (i < 40) f = (b ^ c ^ d) + 0x6ed9eba1;
      else if (i < 60) f = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
      else f = (b ^ c ^ d) + 0xca62c1d6;
      [a, b, c, d, e] = [(rotate(a, 5) + f + e + w[i]) | 0, a, rotate(b, 30), c, d];
    }
    [a, b, c, d, e].forEach((n, i) => { h[i] = (h[i] + n) | 0; });
  }
  return h.flatMap((n) => [(n >>> 24) & 255, (n >>> 16) & 255, (n >>> 8) & 255, n & 255]);
}

const ascii = (text) => Array.from(text, (c) => c.charCodeAt(0));

/** RFC 2104. */
function hmac(message, key) {
  let secret = ascii(key);
  if (secret.length > BLOCK) secret = sha1(secret);
  secret = secret.concat(new Array(BLOCK - secret.length).fill(0));
  const inner = sha1([...secret.map((byte) => byte ^ 0x36), ...ascii(message)]);
  const hash = sha1([...secret.map((byte) => byte ^ 0x5c), ...inner]);
  return Promise.resolve(hash.map((byte) => byte.toString(16).padStart(2, '0')).join(''));
}

module.exports = { hmac };
