// Files and folders.

const bytes = Uint8Array.from([0, 1, 254, 255]);
const as = (run) => ({ as: 'root', run });

export default {
  'names': async (db, { err }) => {
    const names = (options) => {
      const { id, name, bucket, key, path, parent, isFolder, isMetadataLoaded } = new db.File(options);
      return { id, name, bucket, key, path, parent, isFolder, isMetadataLoaded };
    };
    return [names('/file/www/a/b.txt'), names({ path: 'www/x y.png' }), names({ path: '/bucket/folder/' }), names({ name: 'n.txt' }), names({ parent: '/up/load', name: 'n.txt' }), names({ parent: 'up/', name: 'n' }), names({}), names(),
      await err(() => names('x')), await err(() => names('/file/www')), await err(() => names('/db/www/x')), await err(() => names({ path: '/a//b' })), await err(() => names({ path: '/' })), await err(() => names({ parent: '/' }))];
  },
  'metadata that is not loaded': async (db, { err }) => {
    const file = new db.File('/file/www/x');
    const folder = new db.File('/file/www/x/');
    const all = [];
    for (const name of ['mimeType', 'acl', 'lastModified', 'createdAt', 'eTag', 'headers', 'size', 'url']) all.push([await err(() => file[name]), await err(() => folder[name])]);
    return [all, await err(() => file.toJSON()), await err(() => folder.upload({ data: 'x' })), await err(() => folder.download()), await err(() => folder.loadMetadata()), await err(() => folder.createURL())];
  },
  'upload and download': as(async (db) => {
    const file = new db.File({ path: '/www/up/text.txt', data: 'hällo', mimeType: 'text/plain;charset=utf-8' });
    const before = [file.isMetadataLoaded, file.mimeType, file.size, file.eTag, file.acl];
    const same = await file.upload();
    const other = new db.File(file.id);
    const text = await other.download({ type: 'text' });
    return [before, same === file, file.mimeType, file.size, typeof file.eTag, file.lastModified instanceof Date, file.headers, text, other.mimeType, other.size, other.eTag === file.eTag, other.isMetadataLoaded];
  }),
  'bodies': { bodies: false, ...as(async (db, { err }) => {
    const results = [];
    for (const [name, data, type, mimeType] of [['a.txt', 'text', undefined, 'text/plain'], ['b.txt', 'text', 'text'], ['c.json', { a: [1] }, 'json'], ['d.json', { a: 2 }], ['e.bin', 'AAH+/w==', 'base64', 'application/x-thing'],
      ['f.bin', Buffer.from(bytes), 'buffer', 'application/x-thing'], ['g.bin', bytes.buffer, 'arraybuffer', 'application/x-thing'], ['h.bin', bytes.buffer, undefined, 'application/x-thing'], ['i.png', 'data:image/png;base64,AAH+/w=='],
      ['j.txt', 'data:text/plain,a%20b'], ['k.png', 'data:image/png;base64,AAH+/w==', 'data-url'], ['l.json', '{"s":1}', 'json'], ['m.bin', Buffer.from(bytes), undefined, 'application/x-thing'],
      ['n.bin', new Blob([bytes], { type: 'application/x-blob' })]]) {
      const file = new db.File({ name, parent: '/www/bodies', data, type, mimeType });
      results.push([name, await err(() => file.upload().then(({ mimeType: got, size }) => [got, size])), await new db.File(file.id).download({ type: 'base64' })]);
    }
    return results;
  }) },
  'download types': as(async (db) => {
    const file = await new db.File({ path: '/www/types/x.json', data: { a: 'ä' }, type: 'json' }).upload();
    const results = [];
    for (const type of ['json', 'text', 'base64', 'data-url', 'arraybuffer', 'buffer', undefined]) results.push(await file.download({ type }));
    results.push((await file.download({ type: 'blob' })).type); // the SDK's holds bytes of others
    const stream = await file.download({ type: 'stream' });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    results.push(Buffer.concat(chunks).toString(), await file.download({}, (data) => data.length), await file.download({ refresh: true, type: 'text' }));
    return results;
  }),
  'streams': { bodies: false, ...as(async (db, { err }) => {
    const { Readable } = await import('node:stream');
    const file = await new db.File({ path: '/www/stream.txt' }).upload({ data: Readable.from([Buffer.from('ab'), Buffer.from('cd')]), type: 'stream', size: 4, mimeType: 'text/plain' });
    return [file.size, await file.download({ type: 'text' }), await err(() => new db.File({ path: '/www/s2.txt' }).upload({ data: Readable.from([]), type: 'stream' }))];
  }) },
  'upload again': as(async (db, { err }) => {
    const file = await new db.File({ path: '/www/again.txt', data: 'one' }).upload();
    const again = await file.upload({ data: 'two' });
    const blind = new db.File({ path: '/www/again.txt', data: 'three' });
    const refused = await err(() => blind.upload());
    const forced = await blind.upload({ force: true });
    const stale = await err(() => file.upload({ data: 'four' }));
    return [again === file, refused, forced.size, stale, await err(() => new db.File('/file/www/x').upload({ type: 'nonsense', data: 'x' }))];
  }),
  'files that are not there': as(async (db, { err }) => {
    const file = new db.File('/file/www/nothing');
    return [await file.download(), await file.download({ type: 'json' }), await file.loadMetadata(), await err(() => new db.File('/file/www/nothing').delete({ force: true })), await err(() => file.delete())];
  }),
  'metadata': as(async (db, { err }) => {
    const file = new db.File({ path: '/www/meta.txt', data: 'meta', mimeType: 'text/plain', headers: { 'x-mine': 'a' } });
    file.acl.allowReadAccess(db.User.me);
    await file.upload();
    const loaded = await new db.File(file.id).loadMetadata();
    const results = [loaded.headers, loaded.acl, loaded.mimeType, loaded.size, loaded.createdAt instanceof Date, Object.keys(loaded.toJSON())];
    loaded.acl.clear();
    loaded.headers['x-other'] = 'b';
    await loaded.saveMetadata();
    const again = await new db.File(file.id).loadMetadata({ refresh: true }, (it) => it);
    results.push(again.headers, again.acl, await err(() => new db.File(file.id).saveMetadata()), await err(() => file.saveMetadata({ force: true })));
    return results;
  }),
  'delete': as(async (db, { err }) => {
    const file = await new db.File({ path: '/www/delete.txt', data: 'x' }).upload();
    const other = await new db.File(file.id).loadMetadata();
    await other.upload({ data: 'changed' });
    return [await err(() => file.delete()), (await other.delete()) === other, await other.download()];
  }),
  'folders': as(async (db) => {
    for (const name of ['a.txt', 'b.txt', 'deep/c.txt']) await new db.File({ path: `/www/folder/${name}`, data: name }).upload();
    const ids = (files) => files.map(({ id }) => id);
    const folder = new db.File('/file/www/folder/');
    const results = [ids(await db.File.listFiles('/www/folder')), ids(await db.File.listFiles('www/folder/')), ids(await db.File.listFiles(folder, null, 1)), ids(await db.File.listFiles(folder, new db.File('/file/www/folder/a.txt'), 5)),
      ids(await db.File.listFiles('/www/', undefined, undefined, (files) => files.filter(({ isFolder }) => isFolder)))];
    results.push(ids(await folder.delete()), ids(await db.File.listFiles(folder)));
    return results;
  }),
  'buckets': as(async (db) => {
    await db.File.saveMetadata('mybucket', { load: new db.intersection.Permission().allowAccess(db.User.me), insert: { '/db/Role/1': 'allow' } });
    const loaded = await db.File.loadMetadata('mybucket');
    const buckets = await db.File.listBuckets((all) => all.map(({ id }) => id).filter((id) => /mybucket|www/.test(id)));
    return [loaded, buckets, await db.File.loadMetadata('nobucket').catch((error) => error)];
  }),
  'buckets are the admin\'s': async (db, { err }) => [await err(() => db.File.saveMetadata('other', {})), await err(() => db.File.listBuckets())],
  'odd names': as(async (db) => {
    const name = 'a b;,?:@&=+$#-_.!~*\'()ü%20.txt';
    const file = await new db.File({ parent: '/www/odd', name, data: name }).upload();
    return [file.id, await new db.File(file.id).download({ type: 'text' })];
  }),
  'fromJSON': async (db, { err }) => {
    const file = db.File.fromJSON({ id: '/file/www/x', mimeType: 'a/b', eTag: 'e', size: 3, acl: { read: { '/db/Role/1': 'allow' } }, lastModified: '2001-02-03T04:05:06Z', createdAt: '2001-02-03T04:05:06Z', headers: { a: 'b' } });
    return [file, file.toJSON(), await err(() => file.fromJSON({ id: '/file/www/y' })), file instanceof db.File, db.binding.File.parseETag('W/"x"'), db.binding.File.parseETag('x')];
  },
  'URLs': async (db) => [await new db.File('/file/www/a b/ü.png').createURL(), await new db.File('/file/other/a').createURL(), await new db.File('/file/other/a').createURL(false)],
  'files as fields': as(async (db) => {
    const picture = await new db.File({ path: '/www/field.txt', data: 'x' }).upload();
    const todo = await new db.Todo({ name: 'file', picture }).save({ refresh: true });
    const kept = todo.picture === picture;
    db.clear();
    const loaded = await db.Todo.load(todo.id);
    return [kept, loaded.picture.id, await loaded.picture.download({ type: 'text' })];
  }),
};
