// The `request` of a db over HTTP, in place of the one inside of the server.
'use strict';

const http = require('node:http');

/** `base`: `http://host:port/v1`. `onRequest` sees what is sent. */
function connector(base, onRequest) {
  const { hostname, port, pathname } = new URL(base);
  return ({ method, path, headers, body }) => new Promise((resolve, reject) => {
    onRequest?.({ method, path, headers, body });
    const request = http.request({ method, hostname, port, path: pathname + path, headers }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode, headers: response.headers, body: bytes, text: () => bytes.toString() });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

module.exports = { connector };
