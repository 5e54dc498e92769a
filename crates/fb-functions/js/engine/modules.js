// `require`: modules of the app by name, builtins by theirs. Names are looked up in maps, never as properties.
const { seal } = require('seal');

const TYPES = new Set(['insert', 'update', 'delete', 'validate', 'module']);

const loaded = new Map();
const builtins = new Map();
let loading = 0;

// Called when the outermost module begins to load and when it has loaded, and for a builtin to load; see globals.js.
exports.onLoading = () => {};
exports.onLoaded = () => {};
exports.withOwnGlobals = (load) => load();

function missing(name) {
  const error = new Error(
    `Cannot find module '${name}'. Modules of this app are required as './name'; packages of npm are bundled by "freshbase deploy"`,
  );
  error.code = 'MODULE_NOT_FOUND';
  return error;
}

// './other', '../other', '../../other/module' → ['other', 'module'], or null if there is no such code.
exports.resolve = function (name) {
  let rest = name;
  for (;;) {
    if (rest.startsWith('./')) rest = rest.slice(2);
    else if (rest.startsWith('../')) rest = rest.slice(3);
    else break;
  }
  for (const path of rest.endsWith('.js') ? [rest, rest.slice(0, -3)] : [rest]) {
    const slash = path.lastIndexOf('/');
    if (slash < 0) {
      if (native.has(path, 'module')) return [path, 'module'];
    } else {
      const type = path.slice(slash + 1);
      const bucket = path.slice(0, slash);
      if (TYPES.has(type) && native.has(bucket, type)) return [bucket, type];
    }
  }
  return null;
};

// What `name` means in code of the app: a key that is the same for all ways to write it.
exports.key = function (name) {
  if (name.startsWith('./') || name.startsWith('../')) {
    const found = exports.resolve(name);
    if (found === null) throw missing(name);
    return `/code/${found[0]}/${found[1]}`;
  }
  const plain = name.startsWith('node:') ? name.slice(5) : name;
  if (!native.isPublic(plain)) throw missing(name);
  return `node:${plain}`;
};

// Exports of builtins that have to be sealed when the outermost one has loaded: by then they refer to nothing half made.
let unsealed = [];
let depth = 0;
// Whether one did not load or could not be sealed, or what a module left could not be told, which happens without memory: what is left
// then is for nobody.
let isBroken = false;

// For classes that no export leads to, and whose objects code gets hold of.
native.seal = (...values) => {
  unsealed.push(...values);
};

// State of builtins that a call can change: read, and put back after it. What modules of the app set while they load stays, but not what
// the call had set until then.
const states = [];
native.keep = (read, write) => {
  const value = read();
  states.push({ read, write, value, before: value });
};

function onModulesLoading() {
  for (const state of states) state.before = state.read();
}

function onModulesLoaded() {
  for (const state of states) {
    const now = state.read();
    if (now !== state.before) state.value = now;
  }
}

exports.reset = function () {
  for (let i = 0; i < states.length; i += 1) {
    const { read, write, value } = states[i];
    if (read() !== value) write(value);
  }
};

// The globals of the language as they are before code of the app runs.
const pristine = {};
for (const name of Reflect.ownKeys(globalThis)) pristine[name] = globalThis[name];

function evaluate(name, file, module, require) {
  const load = () => native.builtinFile(name, file).call(module.exports, module.exports, require, module, native, pristine);
  const wasBroken = isBroken;
  isBroken = true;
  depth += 1;
  try {
    if (depth === 1) exports.withOwnGlobals(load);
    else load();
    unsealed.push(module);
  } finally {
    depth -= 1;
    if (depth === 0) {
      const values = unsealed;
      unsealed = [];
      seal(values);
    }
  }
  isBroken = wasBroken;
}

exports.isIntact = () => !isBroken;

// A builtin is one file or several, which require each other as './name' and are read when they are first required; the first one is
// the builtin.
function requireBuiltin(name) {
  const known = builtins.get(name);
  if (known !== undefined) return known.exports;
  const names = native.builtinFiles(name);
  if (names === undefined) return undefined;
  const files = new Map();
  const requireFile = (file) => {
    if (!file.startsWith('./')) return engineRequire(file);
    const plain = file.slice(2);
    let module = files.get(plain);
    if (module === undefined) {
      module = { exports: {}, id: `${name}/${plain}` };
      files.set(plain, module);
      try {
        evaluate(name, plain, module, requireFile);
      } catch (error) {
        files.delete(plain);
        throw error;
      }
    }
    return module.exports;
  };
  const main = { exports: {}, id: name };
  files.set(names[0], main);
  builtins.set(name, main);
  try {
    evaluate(name, names[0], main, requireFile);
  } catch (error) {
    builtins.delete(name);
    throw error;
  }
  return main.exports;
}

// Builtins may require builtins, also those that code of the app cannot name.
function engineRequire(name) {
  const found = requireBuiltin(name.startsWith('node:') ? name.slice(5) : name);
  if (found === undefined) throw missing(name);
  return found;
}
exports.builtin = requireBuiltin;

function requireFromApp(name) {
  if (typeof name !== 'string') throw new TypeError('the name of a module must be a string');
  return exports.byKey(exports.key(name));
}

exports.byKey = function (key) {
  if (key.startsWith('node:')) return requireBuiltin(key.slice(5));
  const slash = key.lastIndexOf('/');
  return exports.load(key.slice(6, slash), key.slice(slash + 1));
};
requireFromApp.resolve = (name) => exports.key(String(name));
Object.freeze(requireFromApp);
exports.requireFromApp = requireFromApp;

// Exports of code that exists. An ES module that waits at its top level is loaded when `pending` is settled.
exports.record = function (bucket, type) {
  const key = `${bucket}/${type}`;
  const known = loaded.get(key);
  if (known !== undefined) return known;
  const filename = `/code/${key}`;
  const module = { exports: {}, id: filename, filename, loaded: false, children: [], paths: [], require: requireFromApp };
  const record = { module, pending: null };
  if (loading === 0) {
    onModulesLoading();
    exports.onLoading();
  }
  loaded.set(key, record);
  loading += 1;
  try {
    const code = native.compile(bucket, type);
    if (typeof code === 'function') {
      code.call(module.exports, module.exports, requireFromApp, module, filename, `/code/${bucket}`);
    } else {
      // An ES module: [namespace, promise].
      module.exports = code[0];
      record.pending = code[1];
    }
    module.loaded = true;
  } catch (error) {
    loaded.delete(key);
    throw error;
  } finally {
    loading -= 1;
    if (loading === 0) {
      const wasBroken = isBroken;
      isBroken = true;
      onModulesLoaded();
      exports.onLoaded();
      isBroken = wasBroken;
    }
  }
  return record;
};

exports.load = (bucket, type) => exports.record(bucket, type).module.exports;
