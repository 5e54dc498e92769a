// The package of that name: our fetch, as a function, a default export and with its classes.
const { Headers, Request, Response, fetch } = require('fetch');

function nodeFetch(input, init) {
  return fetch(input, init);
}
class FetchError extends Error {
  constructor(message, type) {
    super(message);
    this.name = 'FetchError';
    this.type = type;
  }
}
class AbortError extends Error {
  constructor(message) {
    super(message);
    this.name = 'AbortError';
    this.type = 'aborted';
  }
}
module.exports = Object.assign(nodeFetch, {
  AbortError,
  FetchError,
  Headers,
  Request,
  Response,
  default: nodeFetch,
  isRedirect: (status) => [301, 302, 303, 307, 308].includes(status),
});
for (const [name, module_] of [['Blob', 'blob'], ['File', 'blob'], ['FormData', 'form-data']]) {
  Object.defineProperty(nodeFetch, name, { get: () => require(module_)[name], enumerable: true });
}
Object.defineProperty(nodeFetch, '__esModule', { value: true });
