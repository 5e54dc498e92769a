const url = require('url');
const path = require('path');
const qs = require('querystring');
const parts = (u) => ['href', 'origin', 'protocol', 'username', 'password', 'host', 'hostname', 'port', 'pathname', 'search', 'hash'].map((name) => u[name]);
const tried = (callback) => {
  try {
    return callback();
  } catch (error) {
    return [error.name, error.code];
  }
};

exports.parses = () => ['http://a.com', 'HTTP://User:p%40ss@EXAMPLE.com:80/a/../b/./c?x=1#h', 'https://münchen.de/ü?ü#ü', 'http://[::1]:3000/', 'http://192.168.0.257', 'http://0x7f.1/', 'file:///etc/../x', 'mailto:a@b.c', 'data:text/plain,hi', 'javascript:alert(1)', 'http://a.com:99999', '//x', 'http://', 'http://a b.com', 'http://a.com/%zz?%zz', 'foo://Bar/Baz', 'blob:http://x.com/1', ' http://a.com/ \n', 'http://ex\tample.com'].map((text) => tried(() => parts(new url.URL(text))));
exports.relative = () => [['../x', 'http://a.com/b/c/d'], ['?q', 'http://a.com/b?c#d'], ['#h', 'http://a.com/b?c'], ['//b.com/x', 'https://a.com'], ['http:x', 'http://a.com/b/'], ['', 'http://a.com/b#c'], ['x', 'mailto:a']].map(([to, from]) => tried(() => new url.URL(to, from).href));
exports.setters = () => {
  const u = new url.URL('http://a.com:8080/x?y#z');
  u.host = 'b.org:81';
  u.port = '';
  u.pathname = 'a b/ü';
  u.search = 'q=1 2';
  u.hash = 'new';
  u.username = 'me@x';
  u.password = 'p:w';
  u.protocol = 'https';
  const first = u.href;
  u.port = 'x';
  u.hostname = '';
  u.protocol = 'nope:';
  return [first, u.href, tried(() => {
    u.href = 'broken';
  }), u.toString(), JSON.stringify({ u }), url.URL.canParse('x:y'), url.URL.canParse('/x')];
};
exports.searchParams = () => {
  const u = new url.URL('http://a.com/?b=2&a=1&b=3');
  const p = u.searchParams;
  p.append('c', 'ä ö&=+');
  p.delete('a');
  p.set('b', '9');
  const first = u.href;
  p.sort();
  u.search = '?z=1';
  return [first, [...p], p.get('z'), p.get('none'), p.getAll('z'), p.has('z'), p.size, u.href];
};
exports.params = () => ['a=1&a=2', '?x=%zz&y=+%2B', { b: 1, c: [1, 2] }, [['k', 'v'], ['k', 'w']], new Map([['m', 'n']]), '', 'a&b=&=c', "q='()*~!"].map((init) => [new url.URLSearchParams(init).toString(), [...new url.URLSearchParams(init)]]);
exports.paramErrors = () => [tried(() => new url.URLSearchParams([['a']])), tried(() => new url.URLSearchParams().get()), tried(() => new url.URL())];
exports.inspected = () => [require('util').inspect(new url.URL('http://a.com/?b=1#c')), require('util').inspect(new url.URLSearchParams('a=1'))];
exports.legacyParse = () => ['http://user:pass@sub.Example.com:8080/p/a/t/h?query=string#hash', '/only/path?x=1', 'mailto:a@b.com', '//host/path', 'http://a.com', 'x', 'http://a.com/a b', 'HTTP://A.com:80/?', 'https://[::1]:8/x'].map((text) => ({ ...url.parse(text) }));
exports.legacyQuery = () => url.parse('/x?a=1&b=2', true).query.b + url.parse('//h/x', false, true).host;
exports.legacyFormat = () => [{ protocol: 'http', host: 'a.com', pathname: 'x', query: { a: 1, b: [2, 3] } }, { hostname: 'b.org', port: 8, search: 'q=1', hash: 'h' }, { pathname: '/x?#', auth: 'a:b', host: 'c' }, { protocol: 'mailto:', pathname: 'x@y' }].map((o) => url.format(o));
exports.legacyResolve = () => [['/one/two/three', 'four'], ['http://example.com/', '/one'], ['http://example.com/one', '/two'], ['/a/b/', '../c'], ['http://a.com/b', '//c.com/d'], ['http://a.com/b?c', '?d']].map(([from, to]) => url.resolve(from, to));
exports.others = () => [url.domainToASCII('español.com'), url.domainToUnicode('xn--espaol-zwa.com'), url.fileURLToPath('file:///a%20b'), url.pathToFileURL('/a b#').href, url.urlToHttpOptions(new url.URL('https://a:b@x.com:1/p?q')).auth, url.format(new url.URL('http://a:b@x.com/?q#h'), { auth: false, fragment: false })];

const PATHS = ['', '.', '/', '/a/b/', 'a/b/../c', '../../a', '/../a', './a/./b', 'a//b', '.a', 'a.b.c', 'a.', '..', '/a.b/c', 'a/b.js/', '.bashrc.txt'];
exports.paths = () => PATHS.map((p) => [path.normalize(p), path.dirname(p), path.basename(p), path.extname(p), path.isAbsolute(p), path.parse(p), path.basename(p, '.c')]);
exports.joins = () => [path.join(), path.join('a', '..', '..', 'b'), path.join('/a', '', 'b/'), path.resolve('/a', 'b', '../c'), path.resolve('/a', '/b', 'c'), path.relative('/a/b/c', '/a/d'), path.relative('/a', '/a'), path.format({ dir: '/x', base: 'y.z' }), path.format({ root: '/', name: 'n', ext: 'e' }), path.sep, path.posix.join('a', 'b')];
exports.pathErrors = () => path.join(5);
exports.querystrings = () => [qs.parse('a=1&b=2&a=3&c=%20+x&d&=e&f=%zz'), qs.stringify({ a: 1, b: [2, 'ü'], c: true, d: null, e: 'x y&' }), qs.parse('a:1;b:2', ';', ':'), qs.stringify({ a: 1, b: 2 }, ';', ':'), qs.escape('ä /'), qs.unescape('%C3%A4+'), qs.parse('a=1&b=2&c=3', null, null, { maxKeys: 2 })];
