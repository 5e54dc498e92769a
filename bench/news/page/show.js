// What the pages of all systems have in common: news with their images, and the time when the last image was there.
'use strict';

/** Shows one of the news; resolves when its image has been loaded. */
function show({ title, text }, src) {
  const article = document.createElement('article');
  const heading = document.createElement('h2');
  heading.textContent = title;
  const image = new Image();
  const loaded = new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = () => reject(new Error(`no image ${src}`));
  });
  image.src = src;
  article.append(heading, image, text);
  document.body.append(article);
  return loaded;
}

/** Addresses that were asked for over the network; of pages of the API's own origin only, the browser tells of no others. */
function sent() {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return all.filter(({ transferSize }) => transferSize > 0).map(({ name }) => new URL(name).pathname);
}

/**
 * `load` shows everything. What became of it is in `window.result`, a promise: milliseconds since the navigation began, titles, what was asked for
 * over the network; or an error.
 */
function run(load) {
  window.result = load().then(() => {
    const ms = performance.now();
    const titles = [...document.querySelectorAll('h2')].map((heading) => heading.textContent).sort();
    return { ms, titles, sent: sent() };
  }, (error) => ({ error: String(error.stack ?? error) }));
}
