module.exports = require('stream-core').Stream;
