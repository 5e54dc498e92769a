// URLs: the standard's, and Node's older functions. https://nodejs.org/docs/latest-v20.x/api/url.html
const { URL, URLSearchParams } = require('whatwg-url');
const { invalidArgType, typeError } = require('errors');

const HOSTED = new Set(['http:', 'https:', 'ftp:', 'gopher:', 'file:', 'ws:', 'wss:']);
const ESCAPED = /[\t\n\r "'<>\\^`{|}]/g;

class Url {
  protocol = null;
  slashes = null;
  auth = null;
  host = null;
  port = null;
  hostname = null;
  hash = null;
  search = null;
  query = null;
  pathname = null;
  path = null;
  href = null;

  format() {
    return format(this);
  }
  resolve(to) {
    return resolve(format(this), to);
  }
}

function parse(given, parsesQuery = false, slashesMeanHost = false) {
  if (given instanceof Url) return given;
  if (typeof given !== 'string') throw invalidArgType('url', 'of type string', given);
  const url = new Url();
  let rest = given.trim();
  const question = rest.indexOf('?');
  const hashAt = rest.indexOf('#');
  const cut = [question, hashAt].filter((i) => i >= 0).reduce((a, b) => Math.min(a, b), rest.length);
  rest = rest.slice(0, cut).replaceAll('\\', '/') + rest.slice(cut);
  const protocol = /^([a-z0-9.+-]+:)/i.exec(rest)?.[1];
  if (protocol !== undefined) {
    url.protocol = protocol.toLowerCase();
    rest = rest.slice(protocol.length);
  }
  const hasSlashes = rest.startsWith('//') && url.protocol !== 'javascript:';
  const isHost = hasSlashes && (slashesMeanHost || protocol !== undefined || /^\/\/[^@/]+@[^@/]+/.test(rest));
  if (isHost) {
    url.slashes = true;
    rest = rest.slice(2);
  }
  // Other schemes than those of the web have an authority even without slashes: mailto:me@example.com
  if (isHost || (url.protocol !== null && !HOSTED.has(url.protocol) && url.protocol !== 'javascript:')) {
    const end = rest.search(/[/?#]/);
    let authority = end < 0 ? rest : rest.slice(0, end);
    rest = end < 0 ? '' : rest.slice(end);
    const at = authority.lastIndexOf('@');
    if (at >= 0) {
      url.auth = decode(authority.slice(0, at));
      authority = authority.slice(at + 1);
    }
    const port = /:(\d*)$/.exec(authority);
    if (port !== null) {
      if (port[1] !== '') url.port = port[1];
      authority = authority.slice(0, port.index);
    }
    let name = authority.toLowerCase();
    const isIpv6 = name.startsWith('[') && name.endsWith(']');
    if (!isIpv6) {
      if (/[\s%<>^|]/.test(name) || name.includes(':')) throw Object.assign(typeError('ERR_INVALID_URL', 'Invalid URL'), { input: given });
      name = native.domainToAscii(name.toWellFormed()) || name;
    }
    url.hostname = isIpv6 ? name.slice(1, -1) : name;
    url.host = name + (url.port === null ? '' : `:${url.port}`);
  }
  if (url.protocol !== 'javascript:') rest = rest.replace(ESCAPED, (c) => encodeURIComponent(c).replace("'", '%27'));
  const hash = rest.indexOf('#');
  if (hash >= 0) {
    url.hash = rest.slice(hash);
    rest = rest.slice(0, hash);
  }
  const query = rest.indexOf('?');
  if (query >= 0) {
    url.search = rest.slice(query);
    url.query = rest.slice(query + 1);
    rest = rest.slice(0, query);
  } else if (parsesQuery) {
    url.search = '';
    url.query = '';
  }
  if (parsesQuery) url.query = require('querystring').parse(url.query);
  if (rest !== '') url.pathname = rest;
  else if (HOSTED.has(url.protocol) && url.hostname) url.pathname = '/';
  if (url.pathname !== null || url.search) url.path = (url.pathname ?? '') + (url.search ?? '');
  url.href = format(url);
  return url;
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function format(given, options) {
  if (typeof given === 'string') return format(parse(given));
  if (given instanceof URL) return formatUrl(given, options);
  if (given === null || typeof given !== 'object') throw invalidArgType('urlObject', 'one of type object or string', given);
  let auth = given.auth ? `${encodeURIComponent(given.auth).replace(/%3A/i, ':')}@` : '';
  let protocol = given.protocol || '';
  if (protocol && !protocol.endsWith(':')) protocol += ':';
  let host = '';
  if (given.host) host = auth + given.host;
  else if (given.hostname) {
    host = auth + (given.hostname.includes(':') && !given.hostname.startsWith('[') ? `[${given.hostname}]` : given.hostname);
    if (given.port) host += `:${given.port}`;
  }
  auth = '';
  let query = '';
  if (given.query !== null && typeof given.query === 'object') query = require('querystring').stringify(given.query);
  let search = given.search || (query && `?${query}`) || '';
  if (search && !search.startsWith('?')) search = `?${search}`;
  let hash = given.hash || '';
  if (hash && !hash.startsWith('#')) hash = `#${hash}`;
  let pathname = (given.pathname || '').replace(/[?#]/g, encodeURIComponent);
  if (given.slashes || (HOSTED.has(protocol) && host !== '')) {
    if (pathname && !pathname.startsWith('/')) pathname = `/${pathname}`;
    host = `//${host}`;
  }
  return protocol + host + pathname + search.replaceAll('#', '%23') + hash;
}

function formatUrl(url, options) {
  const { auth = true, fragment = true, search = true, unicode = false } = options ?? {};
  let text = url.protocol;
  if (url.host !== '' || url.protocol === 'file:') {
    text += '//';
    if (auth && (url.username !== '' || url.password !== '')) text += `${url.username}${url.password === '' ? '' : `:${url.password}`}@`;
    text += unicode ? native.domainToUnicode(url.hostname) : url.hostname;
    if (url.port !== '') text += `:${url.port}`;
  }
  return text + url.pathname + (search ? url.search : '') + (fragment ? url.hash : '');
}

const FAKE = 'resolve-base:';

// As Node's documentation replaces it: relative to a scheme that does not exist, if there is no other.
function resolve(from, to) {
  const base = parse(from, false, true);
  if (base.protocol !== null && !HOSTED.has(base.protocol) && base.slashes === null) return format(Object.assign(base, parse(to)));
  const target = new URL(to.replaceAll('\\', '/'), new URL(from, `${FAKE}//`));
  if (target.protocol !== FAKE) return format(parse(target.href));
  const { pathname, search, hash, host } = target;
  const isRelative = host === '' && !from.startsWith('/') && !to.startsWith('/');
  return `${host === '' ? '' : `//${host}`}${isRelative ? pathname.replace(/^\//, '') : pathname}${search}${hash}`;
}

module.exports = {
  URL,
  URLSearchParams,
  Url,
  domainToASCII: (domain) => native.domainToAscii(`${domain}`.toWellFormed()),
  domainToUnicode: (domain) => native.domainToUnicode(`${domain}`.toWellFormed()),
  fileURLToPath(url) {
    const parsed = typeof url === 'string' ? new URL(url) : url;
    if (parsed.protocol !== 'file:') throw typeError('ERR_INVALID_URL_SCHEME', 'The URL must be of scheme file');
    return decodeURIComponent(parsed.pathname);
  },
  format,
  parse,
  pathToFileURL(path) {
    const url = new URL('file:///');
    url.pathname = require('path').resolve(path).replace(/[%?#]/g, encodeURIComponent);
    return url;
  },
  resolve,
  resolveObject: (from, to) => parse(resolve(format(from), to)),
  urlToHttpOptions(url) {
    const options = {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      hash: url.hash,
      search: url.search,
      pathname: url.pathname,
      path: `${url.pathname}${url.search}`,
      href: url.href,
    };
    if (url.port !== '') options.port = Number(url.port);
    if (url.username || url.password) options.auth = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    return options;
  },
};
