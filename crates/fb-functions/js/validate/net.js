// Names and addresses on the network: hosts, IP and MAC addresses, mail addresses, URIs, media types.
'use strict';

const { text, withDefaults, listed, byteLength } = require('./util');
const { trim } = require('./sanitize');

const HOST = {
  require_tld: true, allow_underscores: false, allow_trailing_dot: false, allow_numeric_tld: false, allow_wildcard: false,
  ignore_max_length: false,
};

const LABEL = /^[a-z0-9_\u00a1-\uff00\uff5f-\uffff-]+$/i;
const TOP = /^(?:[a-z\u00a1-\u00a8\u00aa-\ud7ff\uf900-\ufdcf\ufdf0-\uffef]{2,}|xn[a-z0-9-]{2,})$/i;

const isFQDN = (str, options) => {
  str = text(str);
  const o = withDefaults(options, HOST);
  if (str.length > 100000) return false;
  if (o.allow_trailing_dot && str.endsWith('.')) str = str.slice(0, -1);
  if (o.allow_wildcard && str.startsWith('*.')) str = str.slice(2);
  const labels = str.split('.');
  const top = labels[labels.length - 1];
  if (o.require_tld && (labels.length < 2 || (!o.allow_numeric_tld && !TOP.test(top)) || /\s/.test(top))) return false;
  if (!o.allow_numeric_tld && /^[0-9]+$/.test(top)) return false;
  return labels.every((label) => (label.length <= 63 || o.ignore_max_length) && LABEL.test(label)
    && label[0] !== '-' && !label.endsWith('-') && (o.allow_underscores || !label.includes('_')));
};
exports.isFQDN = isFQDN;

const isIPv4 = (str) => str.length < 16 && /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.|$)){4}$/.test(str) && !str.endsWith('.');

function isIPv6(str) {
  const percent = str.indexOf('%');
  if (percent >= 0) {
    if (!/^[0-9a-z.]+$/i.test(str.slice(percent + 1))) return false;
    str = str.slice(0, percent);
  }
  if (str.length > 45) return false;
  let groups = 8;
  const tail = str.slice(str.lastIndexOf(':') + 1);
  if (tail.includes('.')) {
    if (!isIPv4(tail)) return false;
    groups = 6;
    str = str.slice(0, -tail.length);
    if (!str.endsWith('::')) str = str.slice(0, -1);
  }
  const sides = str.split('::');
  if (sides.length > 2) return false;
  const parts = sides.map((side) => (side === '' ? [] : side.split(':')));
  if (!parts.every((side) => side.every((group) => /^[0-9a-f]{1,4}$/i.test(group)))) return false;
  const count = parts[0].length + (parts[1] ? parts[1].length : 0);
  return sides.length === 1 ? count === groups : count < groups;
}

const isIP = (str, options) => {
  str = text(str);
  const version = String((typeof options === 'object' && options !== null ? options.version : options) || '');
  if (version === '4') return isIPv4(str);
  if (version === '6') return isIPv6(str);
  return version === '' && (isIPv4(str) || isIPv6(str));
};
exports.isIP = isIP;

exports.isIPRange = (str, version = '') => {
  const parts = text(str).split('/');
  version = String(version);
  if (parts.length !== 2 || !/^(?:0|[1-9][0-9]{0,2})$/.test(parts[1])) return false;
  if (!isIP(parts[0], version)) return false;
  return Number(parts[1]) <= (version === '4' ? 32 : version === '6' ? 128 : isIPv4(parts[0]) ? 32 : 128);
};

exports.isMACAddress = (str, options) => {
  str = text(str);
  const { eui, no_separators: none, no_colons: noColons } = options || {};
  const bytes = eui ? [Number(eui) === 48 ? 6 : Number(eui) === 64 ? 8 : 0] : [6, 8];
  return bytes.some((n) => {
    if (n === 0) return false;
    if (none || noColons) return new RegExp(`^[0-9a-f]{${2 * n}}$`, 'i').test(str);
    return new RegExp(`^[0-9a-f]{2}([-:\\s])(?:[0-9a-f]{2}\\1){${n - 2}}[0-9a-f]{2}$|^(?:[0-9a-f]{4}\\.){${n / 2 - 1}}[0-9a-f]{4}$`, 'i').test(str);
  });
};

const MAIL = {
  allow_display_name: false, allow_underscores: false, require_display_name: false, allow_utf8_local_part: true, require_tld: true,
  blacklisted_chars: '', ignore_max_length: false, host_blacklist: [], host_whitelist: [],
};

// The name of `Name <address>`: text with special characters only in quotes, and with quotes inside of them only escaped.
function isDisplayName(name) {
  const inner = name.replace(/^"(.+)"$/, '$1');
  if (!inner.trim()) return false;
  if (!/[.";<>]/.test(inner)) return true;
  return inner !== name && inner.split('"').length === inner.split('\\"').length;
}

const ATOM = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$/i;
const ATOM8 = /^[a-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\ud7ff\uf900-\ufdcf\ufdf0-\uffef-]+$/i;
/* eslint-disable no-control-regex */
const QUOTED = /^(?:[\s\x00-\x21\x23-\x5b\x5d-\x7f]|\\[\x01-\x09\x0b-\x7f])*$/;
const QUOTED8 = /^(?:[\s\x00-\x21\x23-\x5b\x5d-\x7f\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef]|\\[\x01-\x09\x0b-\x7f\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef])*$/;

// Gmail's own rules for names of mailboxes.
function isGmailName(name) {
  const box = name.toLowerCase().split('+')[0];
  const letters = box.replace(/\./g, '');
  return letters.length >= 6 && letters.length <= 30 && box.split('.').every((part) => /^[a-z0-9]+$/.test(part));
}

const isEmail = (str, options) => {
  str = text(str);
  const o = withDefaults(options, MAIL);
  if (o.require_display_name || o.allow_display_name) {
    const open = str.lastIndexOf('<');
    if (open > 0 && !/[\x00-\x1f\x7f-\x9f]/.test(str.slice(0, open))) {
      let name = str.slice(0, open);
      str = str.slice(open + 1);
      if (!str.endsWith('>')) return false;
      str = str.slice(0, -1);
      if (name.endsWith(' ')) name = name.slice(0, -1);
      if (!isDisplayName(name)) return false;
    } else if (o.require_display_name) return false;
  }
  if (!o.ignore_max_length && str.length > 254) return false;
  const at = str.lastIndexOf('@');
  const domain = str.slice(at + 1);
  const lower = domain.toLowerCase();
  if (o.host_blacklist.length > 0 && listed(lower, o.host_blacklist)) return false;
  if (o.host_whitelist.length > 0 && !listed(lower, o.host_whitelist)) return false;
  const local = str.slice(0, Math.max(at, 0));
  if (o.domain_specific_validation && (lower === 'gmail.com' || lower === 'googlemail.com') && !isGmailName(local)) return false;
  if (!o.ignore_max_length && (byteLength(local) > 64 || byteLength(domain) > 254)) return false;
  if (!isFQDN(domain, o)) {
    if (!o.allow_ip_domain) return false;
    if (!isIP(domain) && !(domain.startsWith('[') && domain.endsWith(']') && isIP(domain.slice(1, -1)))) return false;
  }
  if (o.blacklisted_chars && Array.from(o.blacklisted_chars).some((char) => local.includes(char))) return false;
  if (local.length > 1 && local.startsWith('"') && local.endsWith('"')) {
    return (o.allow_utf8_local_part ? QUOTED8 : QUOTED).test(local.slice(1, -1));
  }
  const atom = o.allow_utf8_local_part ? ATOM8 : ATOM;
  return local.split('.').every((part) => atom.test(part));
};
exports.isEmail = isEmail;

const URL = {
  protocols: ['http', 'https', 'ftp'], require_tld: true, require_protocol: false, require_host: true, require_port: false,
  require_valid_protocol: true, allow_underscores: false, allow_trailing_dot: false, allow_protocol_relative_urls: false,
  allow_fragments: true, allow_query_components: true, validate_length: true, max_allowed_length: 2084,
};

// Splits off `scheme:`. What could as well be `user:password@` or `host:port` is not taken for a scheme.
function schemeOf(url) {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url);
  if (!scheme) return undefined;
  const rest = url.slice(scheme[0].length);
  if (rest.startsWith('//')) return scheme[1];
  const authority = rest.split(/[/?#]/, 1)[0];
  const at = authority.indexOf('@');
  const other = at < 0 ? /^[0-9]/.test(authority) : /^[a-z0-9._~%:-]*$/i.test(authority.slice(0, at));
  return other ? undefined : scheme[1];
}

exports.isURL = (str, options) => {
  let url = text(str);
  const o = withDefaults(options, URL);
  if (!url || /[\s<>]/.test(url) || url.startsWith('mailto:')) return false;
  if (o.validate_length && url.length > o.max_allowed_length) return false;
  if (!o.allow_fragments && url.includes('#')) return false;
  if (!o.allow_query_components && /[?&]/.test(url)) return false;
  const scheme = schemeOf(url.split(/[?#]/, 1)[0]);
  if (scheme !== undefined) {
    if (o.require_valid_protocol && !o.protocols.includes(scheme.toLowerCase())) return false;
    url = url.slice(scheme.length + 1);
    if (url.startsWith('//')) url = url.slice(2);
  } else if (o.require_protocol) return false;
  else if (url.startsWith('//')) {
    if (!o.allow_protocol_relative_urls) return false;
    url = url.slice(2);
  }
  url = url.split(/[?#]/, 1)[0];
  if (url === '') return false;
  let host = url.split('/', 1)[0];
  if (host === '' && !o.require_host) return true;
  const at = host.indexOf('@');
  if (at >= 0) {
    const login = host.slice(0, at);
    if (o.disallow_auth || login === '' || login === ':' || login.split(':').length > 2) return false;
    host = host.slice(at + 1);
  }
  const bracketed = /^\[([^\]]*)\](?::([0-9]+))?$/.exec(host);
  let port;
  if (bracketed) [, , port] = bracketed;
  else {
    const colon = host.indexOf(':');
    if (colon >= 0) [host, port] = [host.slice(0, colon), host.slice(colon + 1)];
  }
  if (port) {
    if (!/^[0-9]+$/.test(port) || Number(port) < 1 || Number(port) > 65535) return false;
  } else if (o.require_port) return false;
  const name = bracketed ? bracketed[1] : host;
  if (o.host_whitelist) return (!bracketed || isIPv6(name)) && listed(name, o.host_whitelist);
  if (!o.require_host && (bracketed || host === '')) return true;
  if (bracketed ? !isIPv6(name) : !isIP(name) && !isFQDN(name, o)) return false;
  return !(o.host_blacklist && listed(name, o.host_blacklist));
};

exports.isMagnetURI = (str) => {
  str = text(str);
  return str.startsWith('magnet:?')
    && /(?:^|&)xt(?:\.1)?=urn:(?:(?:aich|bitprint|btih|ed2k|ed2khash|kzhash|md5|sha1|tree:tiger):[a-z0-9]{32}(?:[a-z0-9]{8})?|btmh:1220[a-z0-9]{64})(?:$|&)/i.test(str.slice(8));
};

exports.isMailtoURI = (str, options) => {
  str = text(str);
  if (!str.startsWith('mailto:')) return false;
  const [to, query = ''] = str.slice(7).split('?');
  if (!to && !query) return true;
  const seen = {};
  for (const pair of query.split(/[&]/)) {
    const [name, value = ''] = pair.split('=');
    if (!name) continue;
    const key = name.toLowerCase();
    if (!['subject', 'body', 'cc', 'bcc'].includes(name) || seen[key] !== undefined) return false;
    seen[key] = value;
  }
  return [to, seen.cc || '', seen.bcc || ''].every((list) => list.split(',').every((mail) => !trim(mail, ' ') || isEmail(trim(mail, ' '), options)));
};

const SUB = '[a-z0-9.+-]{1,100}';
const NOTE = '(?:\\s?\\([a-z0-9.+\\s-]{1,20}\\))?';
const SIMPLE = new RegExp(`^(?:application|audio|font|image|message|model|multipart|text|video)/[a-z0-9.+_-]{1,100}$`, 'i');
const TEXT = new RegExp(`^text/${SUB};\\s?charset=(?:"[a-z0-9.+\\s-]{0,70}"|[a-z0-9.+-]{0,70})${NOTE}$`, 'i');
const MULTIPART = new RegExp(`^multipart/${SUB}(?:;\\s?(?:boundary|charset)=(?:"[a-z0-9.+\\s-]{0,70}"|[a-z0-9.+-]{0,70})${NOTE}){0,2}$`, 'i');
exports.isMimeType = (str) => SIMPLE.test(text(str)) || TEXT.test(str) || MULTIPART.test(str);

exports.isDataURI = (str) => {
  str = text(str);
  const comma = str.indexOf(',');
  const head = str.slice(0, comma).trim();
  if (comma < 0 || !head.startsWith('data:')) return false;
  const attributes = head.slice(5).split(';');
  const type = attributes.shift();
  if (type && !/^[a-z]+\/[a-z0-9+._-]+$/i.test(type)) return false;
  if (!attributes.every((attribute, i) => (i === attributes.length - 1 && attribute.toLowerCase() === 'base64') || /^[a-z-]+=[a-z0-9-]+$/i.test(attribute))) return false;
  return /^[a-z0-9!$&',()*+;=\-._~:@/?%\s]*$/i.test(str.slice(comma + 1).trim());
};
