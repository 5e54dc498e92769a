// What the pages of all systems have in common: news with their images, and the time when the last image was there.
'use strict';

/** Width and height of images: with them nothing moves when they come. */
const IMAGE_SIZE = 76;
const articles = document.createDocumentFragment();
const images = [];

/** Makes the article of one of the news, and begins to load its image. All are shown together, once the last of the news is there. */
function show({ title, text }, src) {
  const article = document.createElement('article');
  const heading = document.createElement('h2');
  heading.textContent = title;
  const image = new Image(IMAGE_SIZE, IMAGE_SIZE);
  images.push(new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = () => reject(new Error(`no image ${src}`));
  }));
  image.src = src;
  article.append(heading, image, text);
  articles.append(article);
}

/** Addresses that were asked for over the network; of pages of the API's own origin only, the browser tells of no others. */
function sent() {
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return all.filter(({ transferSize }) => transferSize > 0).map(({ name }) => new URL(name).pathname);
}

/**
 * `load` resolves when it has shown all news. What became of it is in `window.result`, a promise: milliseconds from when the navigation began until
 * the last image was there, titles, and what was asked for over the network; or an error.
 */
function run(load) {
  const shown = load().then(() => {
    document.body.append(articles);
    return Promise.all(images);
  });
  window.result = shown.then(() => {
    const ms = performance.now();
    const titles = [...document.querySelectorAll('h2')].map((heading) => heading.textContent).sort();
    return { ms, titles, sent: sent() };
  }, (error) => ({ error: String(error.stack ?? error) }));
}
