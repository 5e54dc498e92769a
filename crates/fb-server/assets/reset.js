'use strict';

const token = new URLSearchParams(location.search).get('bq-token');
const form = document.getElementById('form');
const message = document.getElementById('message');

function say(text, isError) {
  message.textContent = text;
  message.className = isError ? 'error' : '';
}

// The secret must not stay in the address bar and the history.
history.replaceState(null, '', location.pathname);
if (!token) say('This page needs the link from the mail.', true);

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { password, again } = form.elements;
  if (password.value !== again.value) {
    say('The two passwords differ.', true);
    return;
  }
  form.querySelector('button').disabled = true;
  try {
    const response = await fetch('password', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token, newPassword: password.value }),
    });
    // 403: the password is changed, and the account has a second factor.
    if (!response.ok && response.status !== 403) throw new Error((await response.json()).message);
    form.replaceChildren(message);
    say('Your password is changed. You can close this page and log in.', false);
  } catch (error) {
    say(error.message, true);
    form.querySelector('button').disabled = false;
  }
});
