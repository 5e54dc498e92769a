'use strict';

const app = new URLSearchParams(location.search).get('app');
const token = location.hash.slice(1);
const form = document.getElementById('form');
const message = document.getElementById('message');

function say(text, isError) {
  message.textContent = text;
  message.className = isError ? 'error' : '';
}

if (app) document.getElementById('app').textContent = `the app ${app}`;
if (!token) say('This page needs the setup link that the server printed when it started.', true);

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password, again } = form.elements;
  if (password.value !== again.value) {
    say('The two passwords differ.', true);
    return;
  }
  form.querySelector('button').disabled = true;
  try {
    const body = { token, username: username.value, password: password.value };
    if (app) body.app = app;
    const response = await fetch('/setup', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    history.replaceState(null, '', location.pathname);
    form.replaceChildren(message);
    say(`Done: ${username.value} administrates ${answer.app}. You can close this page and log in.`, false);
  } catch (error) {
    say(error.message, true);
    form.querySelector('button').disabled = false;
  }
});
