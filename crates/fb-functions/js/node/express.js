// What modules use of Express 4: routers, middleware and body parsers. An app or a router is a handler itself.
const { STATUS_CODES } = require('http-status');
const METHODS = ['get', 'post', 'put', 'delete', 'patch', 'head', 'options', 'all'];

const decodeParam = (value) => {
  try {
    return decodeURIComponent(value);
  } catch {
    throw Object.assign(new URIError(`Failed to decode param '${value}'`), { status: 400, statusCode: 400 });
  }
};

// '/users/:id(\\d+)?/*' as a pattern and the names of what it catches.
function compile(path, { isEnd, isStrict = false, isSensitive = false }) {
  if (path instanceof RegExp) {
    let n = 0;
    const names = [...path.source.matchAll(/\((?:\?<(\w+)>|(?!\?))/g)].map((match) => match[1] ?? n++);
    return { pattern: path, names };
  }
  const names = [];
  let unnamed = 0;
  let source = '';
  const token = /\\(.)|(\/)?(\.)?:(\w+)(\((?:\\.|[^()\\])+\))?([?*+])?|\((?!\?)((?:\\.|[^()\\])*)\)([?*+])?|(\*)|([.+^=!${}[\]|])|([^])/g;
  for (const [, escaped, slash = '', dot = '', name, own, times, group, groupTimes, star, special, other] of `${path}`.matchAll(token)) {
    if (escaped !== undefined) source += `\\${escaped}`;
    else if (name !== undefined) {
      names.push(name);
      const one = own === undefined ? `[^\\/${dot === '' ? '' : '.'}]+?` : own.slice(1, -1);
      const before = `${slash === '' ? '' : '\\/'}${dot === '' ? '' : '\\.'}`;
      if (times === '?') source += `(?:${before}(${one}))?`;
      else if (times === '*') source += `(?:${before}(${one}(?:\\/${one})*))?`;
      else if (times === '+') source += `${before}(${one}(?:\\/${one})*)`;
      else source += `${before}(${one})`;
    } else if (group !== undefined) {
      names.push(unnamed++);
      source += `(${group})${groupTimes ?? ''}`;
    } else if (star !== undefined) {
      names.push(unnamed++);
      source += '(.*)';
    } else source += special !== undefined ? (special === '+' ? '+' : `\\${special}`) : other === '?' ? '?' : other === '/' ? '\\/' : other;
  }
  if (!isStrict && source.endsWith('\\/')) source = source.slice(0, -2);
  const end = isEnd ? `${isStrict ? '' : '\\/?'}$` : '(?=\\/|$)';
  return { pattern: new RegExp(`^${source}${end}`, isSensitive ? '' : 'i'), names };
}

function matcher(paths, options) {
  const all = [paths].flat().map((path) => compile(path, options));
  return (path) => {
    for (const { pattern, names } of all) {
      const match = pattern.exec(path);
      if (match === null) continue;
      const params = {};
      names.forEach((name, i) => {
        const value = match[i + 1];
        if (value !== undefined) Object.defineProperty(params, name, { value: decodeParam(value), writable: true, enumerable: true, configurable: true });
      });
      return { path: match[0], params };
    }
    return null;
  };
}

function checkHandlers(handlers, what) {
  const all = handlers.flat(Infinity);
  if (all.length === 0) throw new TypeError(`${what} requires a middleware function`);
  for (const handler of all) if (typeof handler !== 'function') throw new TypeError(`${what} requires a middleware function but got a ${typeof handler}`);
  return all;
}

class Route {
  constructor(path) {
    this.path = path;
    this.stack = [];
  }
  takes(method) {
    return this.stack.some((one) => one.method === undefined || one.method === method || (method === 'head' && one.method === 'get'));
  }
  run(req, res, done) {
    let i = 0;
    const method = req.method.toLowerCase();
    const hasHead = this.stack.some((one) => one.method === 'head');
    const next = (problem) => {
      if (problem === 'route') return done();
      if (problem === 'router') return done(problem);
      let layer;
      do layer = this.stack[i++];
      while (layer !== undefined && layer.method !== undefined && layer.method !== method && !(method === 'head' && !hasHead && layer.method === 'get'));
      if (layer === undefined) return done(problem);
      if ((problem !== undefined && problem !== null) !== (layer.handle.length > 3)) return next(problem);
      return call(layer.handle, problem, req, res, next);
    };
    next();
  }
}
for (const method of METHODS) {
  Route.prototype[method] = function (...handlers) {
    for (const handle of checkHandlers(handlers, `Route.${method}()`)) this.stack.push({ method: method === 'all' ? undefined : method, handle });
    return this;
  };
}

function call(handle, problem, req, res, next) {
  try {
    const result = handle.length > 3 ? handle(problem, req, res, next) : handle(req, res, next);
    // Not in Express 4, where a rejection was lost.
    if (typeof result?.then === 'function') result.then(undefined, (reason) => next(reason ?? new Error('Rejected promise')));
  } catch (thrown) {
    next(thrown);
  }
}

const pathOf = (req) => {
  const end = req.url.indexOf('?');
  return end < 0 ? req.url : req.url.slice(0, end);
};

function Router(options = {}) {
  const router = (req, res, next) => router.handle(req, res, next);
  Object.setPrototypeOf(router, Router.prototype);
  router.options = options;
  router.stack = [];
  router.params = new Map();
  return router;
}
Router.prototype = Object.create(Function.prototype);

Object.assign(Router.prototype, {
  use(...given) {
    const hasPath = typeof given[0] === 'string' || given[0] instanceof RegExp || (Array.isArray(given[0]) && given[0].length > 0 && typeof given[0].flat(Infinity)[0] !== 'function');
    const path = hasPath ? given[0] : '/';
    const handlers = checkHandlers(given.slice(hasPath ? 1 : 0), 'Router.use()');
    const match = path === '/' ? () => ({ path: '', params: {} }) : matcher(path, { isEnd: false, isSensitive: this.options.caseSensitive });
    for (const handle of handlers) {
      this.stack.push({ match, handle });
      if (handle.isApp) {
        handle.parent = this;
        handle.mountpath = path;
      }
    }
    return this;
  },
  route(path) {
    const route = new Route(path);
    this.stack.push({ match: matcher(path, { isEnd: true, isStrict: this.options.strict, isSensitive: this.options.caseSensitive }), route });
    return route;
  },
  param(name, callback) {
    this.params.set(name, [...(this.params.get(name) ?? []), callback]);
    return this;
  },
  handle(req, res, out) {
    const done = out ?? finalHandler(req, res);
    const kept = { url: req.url, baseUrl: req.baseUrl ?? '', params: req.params, next: req.next };
    const called = new Map();
    let i = 0;
    let steps = 0;
    const restore = () => Object.assign(req, kept);
    const next = (given) => {
      if (steps++ > 100) {
        // Long chains of handlers that call `next` at once would fill the stack.
        steps = 0;
        queueMicrotask(() => next(given));
        return;
      }
      req.url = kept.url;
      req.baseUrl = kept.baseUrl;
      let problem = given === 'route' ? undefined : given;
      if (problem === 'router') {
        restore();
        done();
        return;
      }
      const path = pathOf(req) || '/';
      let layer;
      let found = null;
      while (i < this.stack.length) {
        layer = this.stack[i++];
        try {
          found = layer.match(path);
        } catch (thrown) {
          problem ??= thrown;
          found = null;
        }
        if (found === null) continue;
        if (layer.route === undefined) break;
        if ((problem === undefined || problem === null) && layer.route.takes(req.method.toLowerCase())) break;
        found = null;
      }
      if (found === null) {
        restore();
        done(problem);
        return;
      }
      req.next = next;
      req.params = this.options.mergeParams ? { ...kept.params, ...found.params } : found.params;
      const has = problem !== undefined && problem !== null;
      runParams(this, called, found.params, req, res, (failure) => {
        if (failure !== undefined && failure !== null) {
          next(problem ?? failure);
        } else if (layer.route !== undefined) {
          req.route = layer.route;
          layer.route.run(req, res, next);
        } else if (has !== layer.handle.length > 3) {
          next(problem);
        } else {
          if (found.path !== '') {
            const rest = req.url.slice(found.path.length);
            req.url = rest.startsWith('/') ? rest : `/${rest}`;
            req.baseUrl = kept.baseUrl + found.path.replace(/\/$/, '');
          }
          call(layer.handle, problem, req, res, next);
        }
      });
    };
    definePath(req);
    next();
  },
});
for (const method of METHODS) {
  Router.prototype[method] = function (path, ...handlers) {
    this.route(path)[method](...handlers);
    return this;
  };
}

// What `req.path` is depends on where in the routers the request is.
function definePath(req) {
  if (Object.getOwnPropertyDescriptor(req, 'path')?.get !== undefined) return;
  // The path below the module's name is where routes begin.
  if (typeof req.path === 'string' && req.url === req.originalUrl && !(req.baseUrl ?? '')) {
    const query = req.url.indexOf('?');
    const whole = query < 0 ? req.url : req.url.slice(0, query);
    const own = req.path === '' ? '/' : req.path;
    if (own !== whole) {
      if (whole.endsWith(own)) req.baseUrl = whole.slice(0, whole.length - own.length);
      else req.baseUrl = whole;
      req.url = own + (query < 0 ? '' : req.url.slice(query));
    }
  }
  Object.defineProperty(req, 'path', { get: () => pathOf(req), set() {}, configurable: true, enumerable: true });
}

function runParams(router, called, params, req, res, done) {
  const tasks = [];
  for (const name of Object.keys(params)) {
    const value = params[name];
    if (called.get(name) === value) continue;
    const callbacks = router.params.get(name) ?? [];
    if (callbacks.length > 0) called.set(name, value);
    for (const callback of callbacks) tasks.push((next) => callback(req, res, next, value, name));
  }
  const next = (problem) => {
    const task = tasks.shift();
    if (task === undefined || (problem !== undefined && problem !== null)) {
      done(problem);
      return;
    }
    try {
      const result = task(next);
      if (typeof result?.then === 'function') result.then(undefined, next);
    } catch (thrown) {
      next(thrown);
    }
  };
  next();
}

// What nobody answered is not found; what went wrong is told in the words of its status only.
function finalHandler(req, res) {
  return (problem) => {
    if (res.headersSent) {
      if (problem) res.destroy(problem);
      return;
    }
    if (problem === undefined || problem === null) {
      const url = (req.originalUrl ?? req.url).split('?')[0].replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
      page(res, 404, `Cannot ${req.method} ${url}`);
      return;
    }
    const given = problem.status ?? problem.statusCode;
    const status = Number.isInteger(given) && given >= 400 && given < 600 ? given : 500;
    if (status === 500) {
      // The engine reports it, as any other error of the module.
      res.destroy(problem instanceof Error ? problem : new Error(String(problem)));
      return;
    }
    page(res, status, STATUS_CODES[status] ?? String(status));
  };
}

function page(res, status, text) {
  res.statusCode = status;
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  res.setHeader('Content-Security-Policy', "default-src 'none'");
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.end(`<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n<body>\n<pre>${text}</pre>\n</body>\n</html>\n`);
}

function express() {
  const settings = new Map();
  const router = Router();
  // Handlers of modules are called with (db, req, res).
  const app = (...given) => {
    const [req, res, next] = typeof given[0]?.method === 'string' ? given : given.slice(1);
    if (given[0] !== req && typeof req === 'object' && req !== null) req.db = given[0];
    return app.handle(req, res, next);
  };
  app.isApp = true;
  app.stack = router.stack;
  app.options_ = router.options;
  app.locals = {};
  app.mountpath = '/';
  app.settings = {};
  app.handle = (req, res, next) => {
    req.app ??= app;
    res.app ??= app;
    router.handle(req, res, next ?? finalHandler(req, res));
  };
  for (const method of ['use', 'route', 'param', ...METHODS]) {
    app[method] = (...given) => {
      if (method === 'get' && given.length === 1) return settings.get(given[0]);
      const result = router[method](...given);
      return method === 'route' ? result : app;
    };
  }
  app.set = (name, value) => {
    settings.set(name, value);
    app.settings[name] = value;
    if (name === 'case sensitive routing') router.options.caseSensitive = Boolean(value);
    if (name === 'strict routing') router.options.strict = Boolean(value);
    return app;
  };
  app.enable = (name) => app.set(name, true);
  app.disable = (name) => app.set(name, false);
  app.enabled = (name) => Boolean(settings.get(name));
  app.disabled = (name) => !settings.get(name);
  app.listen = () => {
    throw require('errors').notOffered('app.listen; export the app as get, post or call');
  };
  app.engine = () => app;
  app.render = () => {
    throw require('errors').notOffered('app.render');
  };
  delete app.options_;
  return app;
}

// A body that the engine has read already stays as it is; another one is collected.
function parser(defaults, convert) {
  return (options = {}) => {
    const types = [options.type ?? defaults].flat();
    const wants = (req) => (typeof options.type === 'function' ? Boolean(options.type(req)) : types.some((type) => matchesType(req, type)));
    const most = bytes(options.limit ?? '100kb');
    return function bodyParser(req, res, next) {
      if (req.bodyParsed === true || !wants(req)) {
        next();
        return;
      }
      const pieces = [];
      let length = 0;
      let isOver = false;
      const fail = (status, message, type) => {
        if (isOver) return;
        isOver = true;
        next(Object.assign(new Error(message), { status, statusCode: status, expose: true, type }));
      };
      req.on('data', (chunk) => {
        length += chunk.length;
        if (length > most) fail(413, 'request entity too large', 'entity.too.large');
        else pieces.push(chunk);
      });
      req.on('error', next);
      req.on('end', () => {
        if (isOver) return;
        isOver = true;
        req.bodyParsed = true;
        const body = require('buffer').Buffer.concat(pieces);
        try {
          req.body = convert(body, options);
        } catch (problem) {
          next(Object.assign(problem, { status: 400, statusCode: 400, expose: true, type: 'entity.parse.failed', body: body.toString() }));
          return;
        }
        next();
      });
    };
  };
}

function matchesType(req, wanted) {
  const type = (req.headers['content-type'] ?? '').split(';')[0].trim().toLowerCase();
  if (type === '') return false;
  const pattern = wanted.includes('/') ? wanted : require('freshbase:http').mime(wanted);
  const [group, kind] = pattern.split('/');
  const [mine, its = ''] = type.split('/');
  return (group === '*' || group === mine) && (kind === '*' || kind === its || (kind.startsWith('*+') && its.endsWith(kind.slice(1))));
}

function bytes(limit) {
  if (typeof limit === 'number') return limit;
  const [, number, unit] = /^([\d.]+)\s*(b|kb|mb|gb)?$/i.exec(limit) ?? [];
  if (number === undefined) throw new TypeError(`the limit ${limit} cannot be understood`);
  return Number(number) * { b: 1, kb: 1 << 10, mb: 1 << 20, gb: 1 << 30 }[(unit ?? 'b').toLowerCase()];
}

module.exports = Object.assign(express, {
  Router,
  Route,
  default: express,
  json: parser('application/json', (body, options) => {
    if (body.length === 0) return {};
    const value = JSON.parse(body.toString(), options.reviver);
    if (options.strict !== false && (typeof value !== 'object' || value === null)) throw new SyntaxError('Unexpected token in JSON at position 0');
    return value;
  }),
  raw: parser('application/octet-stream', (body) => body),
  static: () => {
    throw require('errors').notOffered('express.static; files belong into the bucket www');
  },
  text: parser('text/plain', (body) => body.toString()),
  urlencoded: parser('application/x-www-form-urlencoded', (body) => ({ ...require('querystring').parse(body.toString()) })),
});
