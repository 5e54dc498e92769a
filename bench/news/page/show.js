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

/** `load` shows everything. What became of it is in `window.result`: milliseconds since the navigation began, titles, or an error. */
function run(load) {
  load().then(() => {
    const titles = [...document.querySelectorAll('h2')].map((heading) => heading.textContent).sort();
    window.result = { ms: performance.now(), titles };
  }, (error) => { window.result = { error: String(error.stack ?? error) }; });
}
