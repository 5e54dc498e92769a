module.exports = require('http-client').create('https:');
