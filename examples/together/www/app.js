import { live, request } from './live.js';

const element = (selector) => document.querySelector(selector);
const say = (error) => { element('#message').textContent = error?.message ?? ''; };
const attempt = (work) => work.then(() => say(), say);

function make(tag, { text, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

// The list.
live('Task', { sort: { createdAt: 1 }, limit: 100 }, (tasks) => {
  element('#tasks').replaceChildren(...tasks.map(({ id, text, done }) => {
    const box = make('input', { type: 'checkbox', checked: done });
    box.addEventListener('change', () => attempt(request('POST', id, { $set: { done: box.checked } })));
    const remove = make('button', { text: '×', title: 'Remove' });
    remove.addEventListener('click', () => attempt(request('DELETE', id)));
    return make('li', { className: done ? 'done' : '' }, make('label', {}, box, make('span', { text })), remove);
  }));
});
element('#add').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = event.target.elements.text.value;
  event.target.reset();
  attempt(request('POST', '/db/Task', { text, done: false }));
});

// The board.
live('Score', { sort: { points: -1 }, limit: 10 }, (scores) => {
  element('#scores').replaceChildren(...scores.map(({ player, points }) => (
    make('li', {}, make('span', { text: player }), make('b', { text: points }))
  )));
});
element('#play').addEventListener('submit', (event) => {
  event.preventDefault();
  const player = event.target.elements.player.value.trim();
  // One object per player: its id is made of the name.
  const id = `/db/Score/${encodeURIComponent(player)}`;
  attempt(request('POST', id, { $inc: { points: 1 } })
    .catch(() => request('POST', '/db/Score', { id, player, points: 1 })));
});

// The map: all pins within the view.
const COLORS = ['#d1495b', '#00798c', '#edae49', '#30638e', '#6a994e'];
const me = { id: null, name: Math.random().toString(36).slice(2, 6), color: COLORS[Math.floor(Math.random() * COLORS.length)] };
const map = element('#map');
let view = { west: -180, east: 180, south: -85, north: 85 };
let pins = null;

function look() {
  const { west, east, south, north } = view;
  pins?.end();
  pins = live('Pin', { query: { place: { $geoWithin: { $box: [[west, south], [east, north]] } } } }, (found) => {
    element('#pins').replaceChildren(...found.map(({ name, color, place }) => {
      const pin = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
      pin.setAttribute('cx', ((place.longitude - west) / (east - west)) * 360);
      pin.setAttribute('cy', ((north - place.latitude) / (north - south)) * 170);
      pin.setAttribute('r', 4);
      pin.setAttribute('fill', color);
      pin.dataset.name = name;
      return pin;
    }));
    element('#seen').textContent = `${found.length} in view`;
  });
}
look();
element('#zoom').addEventListener('change', ({ target }) => {
  view = JSON.parse(target.value);
  look();
});
map.addEventListener('click', async (event) => {
  const { left, top, width, height } = map.getBoundingClientRect();
  const longitude = view.west + ((event.clientX - left) / width) * (view.east - view.west);
  const latitude = view.north - ((event.clientY - top) / height) * (view.north - view.south);
  const place = { latitude, longitude };
  attempt((async () => {
    if (me.id) await request('POST', me.id, { $set: { place } });
    else me.id = (await request('POST', '/db/Pin', { name: me.name, color: me.color, place })).id;
  })());
});
