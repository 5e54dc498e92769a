// Relays requests between the page that has this one in a frame and this API. That page posts
//   {mid, method, path, headers, entity, responseHeaders}
// as a JSON string; the answer {mid, status, headers, entity} goes back to it, and to the origin it had.
//
// Nobody else is answered: windows can post to frames of others, and the answer to the first request may hold a token.
// What a request may do depends on the token that the page itself sends. Being of this origin would let it read more than
// the API, which has rules for foreign pages: so nothing else is asked for.
(function () {
  'use strict';

  var base = location.pathname.replace(/\/[^/]*$/, '');
  // Origins besides this one whose pages get what a login with another provider gives, which is a token.
  var loginOrigins = document.currentScript.getAttribute('data-login-origins').split(' ').concat(location.origin);
  var oauthItem = 'oauth-response';
  var waitingForOAuth = null;

  function reply(event, message) {
    var origin = !event.origin || event.origin === 'null' || event.origin.indexOf('file:') === 0 ? '*' : event.origin;
    event.source.postMessage(JSON.stringify(message), origin);
  }

  function refuse(event, mid, status, text) {
    var entity = JSON.stringify({ message: text, className: status === 409 ? 'Conflict' : 'BadRequest', stackTrace: [] });
    reply(event, { mid: mid, status: status, headers: { 'content-type': 'application/json' }, entity: entity });
  }

  // The page may hold the answer to a request in an element whose id is the requested path.
  function embedded(message) {
    var element = document.getElementById(message.path);
    if (!element || message.method !== 'GET' || !element.hasAttribute('data-cache-control')) return null;
    var headers = { 'content-type': 'application/json' };
    var token = element.getAttribute('data-token');
    if (token) headers['baqend-authorization-token'] = token;
    var text = element.textContent;
    if (element.getAttribute('data-cache-control').indexOf('no-cache') !== -1) element.parentNode.removeChild(element);
    return { mid: message.mid, status: text ? 200 : 404, headers: headers, entity: text || null };
  }

  // Where the path leads, as browsers read it; null if that is not the API.
  function addressOf(path) {
    try {
      var url = new URL(base + path, location.origin);
      return url.origin === location.origin && url.pathname.indexOf(base + '/') === 0 ? url.href : null;
    } catch (e) {
      return null;
    }
  }

  function forward(event, message) {
    var address = addressOf(message.path);
    if (!address) {
      refuse(event, message.mid, 400, 'The path is not one of the API.');
      return;
    }
    var xhr = new XMLHttpRequest();
    xhr.open(message.method, address, true);
    Object.keys(message.headers || {}).forEach(function (name) {
      if (message.headers[name]) xhr.setRequestHeader(name, message.headers[name]);
    });
    xhr.onloadend = function () {
      var headers = {};
      (message.responseHeaders || []).forEach(function (name) {
        var value = xhr.getResponseHeader(name);
        if (value) headers[name] = value;
      });
      reply(event, { mid: message.mid, status: xhr.status, headers: headers, entity: xhr.responseText });
    };
    xhr.send(message.entity);
  }

  function takeOAuth() {
    var text = waitingForOAuth && localStorage.getItem(oauthItem);
    if (!text) return;
    localStorage.removeItem(oauthItem);
    var answer = JSON.parse(text);
    answer.mid = waitingForOAuth.mid;
    var event = waitingForOAuth.event;
    clearInterval(waitingForOAuth.timer);
    waitingForOAuth = null;
    reply(event, answer);
  }

  function waitForOAuth(event, message) {
    if (loginOrigins.indexOf(event.origin) === -1) {
      refuse(event, message.mid, 400, 'Pages of ' + event.origin + ' get no logins of this app; '
        + 'an administrator can add the origin to oauth.authorizedDomains.');
      return;
    }
    if (waitingForOAuth) {
      clearInterval(waitingForOAuth.timer);
      refuse(waitingForOAuth.event, waitingForOAuth.mid, 409, 'A new login was started.');
    }
    localStorage.removeItem(oauthItem);
    waitingForOAuth = { event: event, mid: message.mid, timer: setInterval(takeOAuth, 500) };
  }

  addEventListener('storage', takeOAuth);
  addEventListener('message', function (event) {
    if (event.source !== parent || parent === window) return;
    var message;
    try {
      message = JSON.parse(event.data);
    } catch (e) {
      return;
    }
    if (!message || !message.mid) return;
    if (message.method === 'OAUTH') {
      waitForOAuth(event, message);
      return;
    }
    var ready = embedded(message);
    if (ready) reply(event, ready);
    else forward(event, message);
  });
}());
