// Loaded by mocha (--require): a spec of v3 uses chai-as-promised without loading it.
'use strict';

require('chai').use(require('chai-as-promised'));
