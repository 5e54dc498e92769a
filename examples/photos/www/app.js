// Logs in, uploads a picture, says that it is its user's, and waits for what the trigger makes of it. Plain REST, no library.
const API = '/v1';
// How long to wait for avatars, in milliseconds.
const PATIENCE = 60_000;
let token;
let user;

const login = document.querySelector('#login');
const upload = document.querySelector('#upload');
const say = (text) => { document.querySelector('#message').textContent = text; };

async function request(method, path, { body, headers = {} } = {}) {
  const response = await fetch(API + path, {
    method,
    headers: { ...(token && { authorization: `BAT ${token}` }), ...headers },
    body,
  });
  token = response.headers.get('baqend-authorization-token') ?? token;
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw Object.assign(new Error(answer?.message ?? response.statusText), { status: response.status });
  return answer;
}

const json = (value) => ({ body: JSON.stringify(value), headers: { 'content-type': 'application/json' } });

login.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(login));
  try {
    user = event.submitter.value === 'register'
      ? await request('POST', '/db/User/register', json({ user: { username }, password, login: true }))
      : await request('POST', '/db/User/login', json({ username, password }));
    login.hidden = true;
    upload.hidden = false;
    say(`Hello ${user.username}.`);
    show(await profile());
  } catch (error) {
    say(error.message);
  }
});

upload.addEventListener('submit', async (event) => {
  event.preventDefault();
  const picture = upload.elements.picture.files[0];
  try {
    say('Uploading …');
    const file = `/file/photos/${crypto.randomUUID()}`;
    await request('PUT', file, {
      body: picture,
      // The original is for its owner, and for the app's code.
      headers: {
        'content-type': picture.type || 'application/octet-stream',
        'baqend-acl': JSON.stringify({ read: { [user.id]: 'allow', '/db/Role/2': 'allow' }, write: { [user.id]: 'allow' } }),
      },
    });
    say('Making avatars …');
    const { error } = await done(await request('POST', '/db/Picture', json({ file })));
    say(error ? `That did not work: ${error}` : 'Done.');
    show(await profile());
  } catch (error) {
    say(error.message);
  }
});

const key = () => user.id.split('/').pop();

const fresh = (path) => request('GET', path, { headers: { 'cache-control': 'no-cache' } });

async function profile() {
  try {
    return await fresh(`/db/Profile/${key()}`);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

async function done({ id }) {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const picture = await fresh(id);
    if (picture.isDone) return picture;
    await new Promise((resolve) => { setTimeout(resolve, 300); });
  }
  throw new Error('The avatars are not there yet. Look again later, or try another picture.');
}

function show(found) {
  const section = document.querySelector('#avatars');
  if (!found?.avatars) return;
  section.hidden = false;
  section.replaceChildren(...Object.entries(found.avatars).map(([size, { file, bytes }]) => {
    const figure = document.createElement('figure');
    const picture = document.createElement('img');
    picture.src = `${API}${file}?v=${found.version}`;
    picture.width = { small: 32, medium: 96, large: 256 }[size];
    picture.alt = `${size} avatar`;
    const caption = document.createElement('figcaption');
    caption.textContent = `${size}, ${(bytes / 1024).toFixed(1)} KB`;
    figure.append(picture, caption);
    return figure;
  }));
}
