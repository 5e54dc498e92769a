// The published SDK, unmodified, as an app uses it: connect, 3 streams, 30 news, 30 images.

import { db } from './sdk.js';

run(async () => {
  await db.connect(`${location.protocol}//api.test/v1`);
  await Promise.all(STREAMS.map(async (key) => {
    const stream = await db.Stream.load(key);
    await Promise.all(stream.news.map(async (reference) => {
      const item = await reference.load();
      show(item, await item.image.createURL());
    }));
  }));
});
