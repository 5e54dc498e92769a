'use strict';

const response = document.getElementById('response').textContent;
const { status, entity } = JSON.parse(response);
const message = document.getElementById('message');
// The address holds the code of the login, which is used up.
history.replaceState(null, '', location.pathname);
localStorage.setItem('oauth-response', response);
message.textContent = status === 200
  ? 'You are logged in. You can close this window.'
  : JSON.parse(entity).message;
if (status === 200) window.close();
