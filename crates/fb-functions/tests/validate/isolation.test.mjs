// The sources in a context that has nothing but the language, as the sandbox has: same answers, no globals read or made, no hanging.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import vm from 'node:vm';

import { ask, ours, shown, sources } from './libraries.mjs';
import { samples } from './samples.mjs';

const files = {};
for (const name of readdirSync(sources)) files[`./${path.basename(name, '.js')}`] = readFileSync(path.join(sources, name), 'utf8');

// A context with the least CommonJS there is, and the answers of the library as text.
function sandbox() {
  const context = vm.createContext(Object.create(null));
  vm.runInContext('var WebAssembly, SharedArrayBuffer, Atomics, console, escape, unescape;', context); // not in each engine
  vm.runInContext(`
    'use strict';
    var loaded = [];
    var load = (function (files) {
      const modules = {};
      return function load(name) {
        if (modules[name]) return modules[name].exports;
        if (!(name in files)) throw new Error('no module ' + name);
        const module = modules[name] = { exports: {} };
        loaded.push(name);
        new Function('require', 'module', 'exports', files[name])(load, module, module.exports);
        return module.exports;
      };
    })(${JSON.stringify(files)});
    var ask = function (name, text, args) {
      try {
        return load('./index').library[name](text, ...args);
      } catch (error) {
        return 'throws ' + error.message;
      }
    };`, context);
  return context;
}

// Arguments as source, so that they are objects of the context.
const literal = (value) => {
  if (Array.isArray(value)) return `[${value.map(literal).join(',')}]`;
  if (value instanceof RegExp) return String(value);
  if (value && typeof value === 'object') return `{${Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${literal(inner)}`).join(',')}}`;
  return value === undefined ? 'undefined' : JSON.stringify(value);
};

test('every check gives the same answer where there is nothing but the language', () => {
  const context = sandbox();
  const before = vm.runInContext('Object.getOwnPropertyNames(globalThis).sort().join()', context);
  for (const [name, [variants, texts]] of Object.entries(samples)) {
    for (const args of variants) {
      for (const text of texts) {
        const inside = vm.runInContext(`ask(${JSON.stringify(name)}, ${JSON.stringify(text)}, ${literal(args)})`, context);
        assert.equal(inside, ask(ours, name, text, args), `${name}(${shown(text)}, ${shown(args)})`);
      }
    }
  }
  assert.equal(vm.runInContext('Object.getOwnPropertyNames(globalThis).sort().join()', context), before, 'globals were made');
});

test('validation runs where there is nothing but the language', () => {
  const run = `JSON.stringify(load('./index').validate(new Function('email', 'at', CODE), {
    email: { type: 'String', value: 'x' }, at: { type: 'DateTime', value: '2020-01-01T00:00:00Z' } }))`;
  const context = sandbox();
  context.CODE = 'email.isEmail("no"); at.isDate(); at.is("later", function (v) { return v instanceof Date && v.getFullYear() > 2000; });';
  assert.equal(vm.runInContext(run, context), '{"valid":false,"result":{"email":{"isValid":false,"errors":["no"]},"at":{"isValid":true,"errors":[]}}}');
  context.CODE = 'setTimeout(function () {}, 1);';
  assert.throws(() => vm.runInContext(run, context), /setTimeout is not defined/);
});

test('tables of locales are loaded at the first call only', () => {
  const context = sandbox();
  const loaded = () => vm.runInContext('loaded.splice(0).sort().join()', context);
  vm.runInContext('load("./index").library.isEmail("a@b.de")', context);
  assert.equal(loaded(), './codings,./dates,./index,./library,./net,./numbers,./sanitize,./text,./util');
  vm.runInContext('ask("isMobilePhone", "1", ["de-DE"])', context);
  assert.equal(loaded(), './phones');
  vm.runInContext('ask("isAlpha", "a", []); ask("isPostalCode", "1", ["DE"])', context);
  assert.equal(loaded(), './alphabets,./postal');
});

test('code cannot change the checks of later code', () => {
  const context = sandbox();
  const run = `load('./index').validate(new Function('a', 'a.is("x", function (v, lib) { lib.isEmail = function () { return true; }; return true; }); a.isEmail();'),
    { a: { type: 'String', value: 'x' } }).valid`;
  assert.equal(vm.runInContext(run, context), false);
  assert.equal(vm.runInContext(run, context), false);
});

// One bomb for each kind of thing a pattern may stumble over, 100,000 characters each.
const LENGTH = 100_000;
const units = ['a', 'A', '1', '0', ' ', '.', '-', '_', '+', ',', ':', '/', '@', '"', '\\', '(', '[', '=', '&', '%', ';', '?', '#', '<', 'é', '😀', '\n', 'a.', '1.', '1,', '1 ', '1-', 'a-', 'a_', ':1', '1:',
  '::', '%1', 'a@', 'a=', 'a&', ';a=b', '&xt=', '0.1', 'a,', 'a:', '1e', '\\"', '"a', '.1', ' a', 'aA1!', '999,', 'AAAA'];
const heads = ['', '$1', 'a@', 'http://', 'http://a.com/', '"', 'data:text/plain;', 'data:,', 'magnet:?xt=urn:', 'mailto:', 'mailto:a@b.de?subject=', 'rgb(', 'hsl(1', 'text/html;charset=', 'multipart/x;boundary="', '2020-01-01T10:00:00.',
  'en-', 'x-', '+49', '1.0.0-', '0x', '{"a":', 'Name <', '-', '1', '::'];
const tails = ['', '!', '\n', 'x', '1', '=', '>', ')', '"'];

test('no check takes long for 100,000 characters of anything', () => {
  const context = sandbox();
  vm.runInContext('load("./index").library.isLocale("a")', context);
  for (const [name, [variants]] of Object.entries(samples)) {
    const some = variants.length > 20 ? [...variants.slice(0, 3), ['any'], ...variants.slice(-2)] : variants;
    // The patterns of matches() are the author's own.
    if (name === 'matches') continue;
    for (const args of some) {
      const code = `for (const [i, unit] of UNITS.entries()) {
        const body = unit.repeat(Math.ceil(${LENGTH} / unit.length));
        for (let k = 0; k < 4; k++) {
          const head = HEADS[(i * 5 + k * 7 + ${name.length}) % HEADS.length];
          ask(${JSON.stringify(name)}, head + body + TAILS[(i + k) % TAILS.length], ${literal(args)});
        }
        ask(${JSON.stringify(name)}, body + '!', ${literal(args)});
      }`;
      context.UNITS = units;
      context.HEADS = heads;
      context.TAILS = tails;
      try {
        vm.runInContext(code, context, { timeout: 10_000 });
      } catch (error) {
        assert.fail(`${name}(…, ${shown(args)}): ${error.message}`);
      }
    }
  }
});

test('samples with a character repeated 100,000 times do not take long either', () => {
  const context = sandbox();
  for (const [name, [variants, texts]] of Object.entries(samples)) {
    if (name === 'matches') continue;
    const [args] = variants;
    for (const text of texts.slice(0, 4)) {
      for (let at = 0; at < text.length; at += Math.ceil(text.length / 6)) {
        context.TEXT = text.slice(0, at) + text[at].repeat(LENGTH) + text.slice(at);
        try {
          vm.runInContext(`ask(${JSON.stringify(name)}, TEXT, ${literal(args)}); ask(${JSON.stringify(name)}, TEXT + '!', ${literal(args)})`, context, { timeout: 10_000 });
        } catch (error) {
          assert.fail(`${name}: ${shown(text)} with 100,000 of ${shown(text[at])}: ${error.message}`);
        }
      }
    }
  }
});
