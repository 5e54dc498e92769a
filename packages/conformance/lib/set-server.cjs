// Loaded by mocha (--require) inside the package directory of the SDK: points its specs at TEST_SERVER.
// The specs read the URL from the object that spec/env.js exports, so changing that object before the first spec
// is loaded is enough and the published package stays as it is.
'use strict';

const path = require('path');

const env = require(path.join(process.cwd(), 'spec', 'env.js'));

if (process.env.TEST_SERVER) {
  env.TEST_SERVER = process.env.TEST_SERVER;
}
global.env = env;
