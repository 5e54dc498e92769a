module.exports = require('http-client').create('http:');
