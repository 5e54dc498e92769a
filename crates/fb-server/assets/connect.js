// Relays requests between a page of another origin and this API. The page posts
//   {mid, method, path, headers, entity, responseHeaders}
// as a JSON string; the answer {mid, status, headers, entity} goes back to the window and origin it came from.
// No cookie or other ambient right is used: what a request may do depends on the token the page itself sends.
(function () {
  'use strict';

  var base = location.pathname.replace(/\/[^/]*$/, '');
  var oauthItem = 'oauth-response';
  var waitingForOAuth = null;

  function reply(event, message) {
    var origin = !event.origin || event.origin === 'null' || event.origin.indexOf('file:') === 0 ? '*' : event.origin;
    event.source.postMessage(JSON.stringify(message), origin);
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

  function forward(event, message) {
    var xhr = new XMLHttpRequest();
    xhr.open(message.method, base + message.path, true);
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
    if (waitingForOAuth) {
      var entity = JSON.stringify({ message: 'A new login was started.', className: 'Conflict', stackTrace: [] });
      clearInterval(waitingForOAuth.timer);
      reply(waitingForOAuth.event, { mid: waitingForOAuth.mid, status: 409, headers: {}, entity: entity });
    }
    localStorage.removeItem(oauthItem);
    waitingForOAuth = { event: event, mid: message.mid, timer: setInterval(takeOAuth, 500) };
  }

  addEventListener('storage', takeOAuth);
  addEventListener('message', function (event) {
    var message;
    try {
      message = JSON.parse(event.data);
    } catch (e) {
      return;
    }
    if (!message || !message.mid || !event.source) return;
    if (message.method === 'OAUTH') {
      waitForOAuth(event, message);
      return;
    }
    var ready = embedded(message);
    if (ready) reply(event, ready);
    else forward(event, message);
  });
}());
