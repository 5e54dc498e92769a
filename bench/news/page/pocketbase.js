// PocketBase: 3 streams, 30 news, 30 images by plain requests; with `?expand` streams bring their news along.

const API = `${location.protocol}//api.test/api`;

async function get(path) {
  const response = await fetch(`${API}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

const showItem = (item) => show(item, `${API}/files/news/${item.id}/${item.image}`);

run(async () => {
  const expand = location.search === '?expand';
  await Promise.all(STREAMS.map(async (key) => {
    const stream = await get(`/collections/streams/records/${key.padEnd(15, '0')}${expand ? '?expand=news' : ''}`);
    await Promise.all(expand
      ? stream.expand.news.map(showItem)
      : stream.news.map(async (id) => showItem(await get(`/collections/news/records/${id}`))));
  }));
});
