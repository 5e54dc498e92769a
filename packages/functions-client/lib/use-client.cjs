// Loaded by mocha (--require) in the directory of the published package: its specs get our client for the package.
'use strict';

const Module = require('node:module');
const path = require('node:path');

const spec = path.join(process.cwd(), 'spec', 'node.js');
const original = Module._load;
Module._load = function load(request, parent, isMain) {
  if (request === '..' && parent && parent.filename === spec) return require('./sdk-shape.cjs');
  return original.call(this, request, parent, isMain);
};
