// `db.File`: files and folders, their contents and metadata.
'use strict';

const { Acl, Permission } = require('./acl');
const { StatusCode, url, withQuery } = require('./connector');
const { PersistentError } = require('./errors');
const { Factory } = require('./factories');
const { hidden, uuid, withSlash } = require('./util');

const ROOT = '/file';
const NO_CACHE = 'max-age=0, no-cache';

/** null where there is nothing. */
const orNull = (error) => {
  if (error.status === StatusCode.OBJECT_NOT_FOUND) return null;
  throw error;
};

const hasData = ({ data }) => data !== undefined && data !== null;

class File {
  /** An id, or `{id}`, `{path}` or `{parent, name}` with maybe data and metadata. */
  constructor(fileOptions) {
    const opt = typeof fileOptions === 'string' ? { id: fileOptions } : fileOptions || {};
    if (opt.id && (!opt.id.startsWith('/file/') || !opt.id.includes('/', '/file/'.length))) {
      throw new Error(`Invalid file reference ${opt.id}`);
    }
    hidden(this, '_id', opt.id || idOf(opt));
    hidden(this, '_metadata', null);
    hidden(this, '_data', null);
    hidden(this, 'db', null);
    this.setDataOptions(opt);
    this.isFolder = this.id.endsWith('/');
  }

  static parseETag(eTag) {
    const match = eTag && eTag.match(/^(?:[wW]\/)?["'](.*)["']$/);
    return match ? match[1] : null;
  }

  get id() {
    return this._id;
  }

  get url() {
    throw new Error('This method is removed. Use the asynchronous File.createURL() method instead.');
  }

  get name() {
    return this.id.substring(this.id.lastIndexOf('/', this.id.length - 2) + 1);
  }

  get acl() {
    this.checkAvailable();
    return this._metadata.acl;
  }

  get bucket() {
    return this.path.substring(1, this.path.indexOf('/', 1));
  }

  get key() {
    return this.path.substring(this.path.indexOf('/', 1) + 1);
  }

  get path() {
    return this.id.substring(ROOT.length);
  }

  get parent() {
    return this.id.substring(ROOT.length, this.id.lastIndexOf('/', this.id.length - 2));
  }

  get isMetadataLoaded() {
    return !!this._metadata;
  }

  createURL(authorize) {
    if (this.isFolder) throw new Error('Url can not be created for folders.');
    return this.db.createURL(this.id, typeof authorize === 'boolean' ? authorize : this.bucket !== 'www');
  }

  upload(options, done, fail) {
    const opt = options || {};
    if (this.isFolder) throw new Error('A folder cannot be uploaded');
    this.setDataOptions(opt);
    if (!this._data) throw new PersistentError(`There is no data to upload for ${this.id}.`);
    const { acl, size, mimeType, headers } = this._metadata || {};
    return this._send('PUT', [200], {
      body: this._data.data,
      type: this._data.type,
      headers: {
        'baqend-acl': acl && JSON.stringify(acl),
        'content-length': size === undefined ? size : `${size}`,
        'content-type': mimeType,
        'baqend-custom-headers': headers && JSON.stringify(headers),
        ...this._conditions(opt),
      },
    }).then((response) => {
      this._data = null;
      this.fromJSON(response.entity);
      return this;
    }).then(done, fail);
  }

  /** `type`: buffer (default), text, json, base64, data-url, arraybuffer, blob or stream. */
  download(options, done, fail) {
    const opt = options || {};
    if (this.isFolder) throw new Error('A folder cannot be downloaded');
    return this._send('GET', [200, 304], {
      responseType: opt.type || 'buffer', headers: { 'cache-control': opt.refresh ? NO_CACHE : null },
    }).then((response) => {
      this._fromHeaders(response.headers);
      return response.entity;
    }, orNull).then(done, fail);
  }

  /** Resolves with this file, or with what was deleted of a folder. */
  delete(options, done, fail) {
    return this._send('DELETE', [200, 204], { headers: this._conditions(options || {}) })
      .then((response) => (this.isFolder ? response.entity.map((id) => new this.db.File(id)) : this)).then(done, fail);
  }

  loadMetadata(options, done, fail) {
    const opt = options || {};
    if (this.isFolder) throw new Error('A folder has no mata data.');
    return this._send('HEAD', [200], { headers: { 'cache-control': opt.refresh ? NO_CACHE : null } }).then((response) => {
      this._fromHeaders(response.headers);
      return this;
    }, orNull).then(done, fail);
  }

  saveMetadata(options, done, fail) {
    const body = this.toJSON();
    return this._send('POST', [200], { body, type: 'json', headers: this._conditions(options || {}) }).then((response) => {
      this.fromJSON(response.entity);
      return this;
    }).then(done, fail);
  }

  setDataOptions(options) {
    if (!hasData(options)) return;
    const { data, type, ...metadata } = options;
    this._data = { type, data };
    this.fromJSON({ ...metadata, mimeType: this.guessMimeType(options) || undefined });
  }

  guessMimeType({ mimeType, data, type }) {
    if (mimeType) return mimeType;
    if (globalThis.Blob && data instanceof globalThis.Blob) return data.type;
    const match = type === 'data-url' && typeof data === 'string' && data.match(/^data:(.+?)(;base64)?,.*$/);
    return match ? match[1] : null;
  }

  fromJSON(json) {
    if (json.id && this.id !== json.id) throw new Error(`This file id ${this.id} does not match the given json id ${json.id}`);
    const old = this._metadata || {};
    let { acl } = json;
    if (!(acl instanceof Acl)) {
      acl = old.acl || new Acl();
      if (json.acl) acl.fromJSON(json.acl);
    }
    this._metadata = {
      mimeType: json.mimeType,
      lastModified: (json.lastModified && new Date(json.lastModified)) || old.lastModified,
      createdAt: (json.createdAt && new Date(json.createdAt)) || old.createdAt,
      eTag: json.eTag || old.eTag,
      acl,
      size: typeof json.size === 'number' ? json.size : json.contentLength,
      headers: json.headers || old.headers || {},
    };
  }

  toJSON() {
    this.checkAvailable();
    const { mimeType, eTag, acl, size, lastModified, createdAt, headers } = this._metadata;
    return {
      id: this.id,
      mimeType,
      eTag,
      acl: acl && acl.toJSON(),
      size,
      lastModified: lastModified && lastModified.toISOString(),
      createdAt: createdAt && createdAt.toISOString(),
      headers,
    };
  }

  checkAvailable() {
    if (!this.isMetadataLoaded) throw new PersistentError(`The file metadata of ${this.id} is not available.`);
  }

  _send(method, ok, message) {
    const path = `${url`/file/${this.bucket}`}/${this.key.split('/').map(encodeURIComponent).join('/')}`;
    return this.db.send({ method, path, ok, ...message });
  }

  /** What makes a request fail if somebody else changed the file. */
  _conditions({ force }) {
    if (force) return {};
    const { lastModified, eTag } = this._metadata || {};
    if (!lastModified && !eTag) return { 'if-none-match': '*' };
    return { 'if-unmodified-since': lastModified && lastModified.toUTCString(), 'if-match': eTag && (eTag.includes('"') ? eTag : `"${eTag}"`) };
  }

  _fromHeaders(headers) {
    this.fromJSON({
      eTag: File.parseETag(headers.etag),
      lastModified: headers['last-modified'],
      createdAt: headers['baqend-created-at'],
      mimeType: headers['content-type'],
      acl: headers['baqend-acl'] && JSON.parse(headers['baqend-acl']),
      size: +headers['baqend-size'],
      headers: headers['baqend-custom-headers'] && JSON.parse(headers['baqend-custom-headers']),
    });
  }
}

const NAMES = {
  mimeType: 'mimeType', lastModified: 'lastModified', createdAt: 'creation date', eTag: 'eTag', headers: 'custom headers', size: 'size',
};
for (const [name, label] of Object.entries(NAMES)) {
  Object.defineProperty(File.prototype, name, {
    get() {
      if (this.isFolder) throw new Error(`A folder has no ${label}`);
      this.checkAvailable();
      return this._metadata[name];
    },
    configurable: true,
  });
}

function idOf({ path, parent, name, data }) {
  let full = path;
  if (!full) {
    const folder = withSlash(parent || '/www');
    if (folder.length < 3) throw new Error(`Invalid parent name: ${folder}`);
    full = folder + (name || (data && data.name) || uuid());
  }
  if (!full.startsWith('/')) full = `/${full}`;
  if (full.includes('//') || full.length < 3) throw new Error(`Invalid path: ${full}`);
  return ROOT + full;
}

class FileFactory extends Factory {
  static create(db) {
    const factory = this.make(File);
    factory.db = db;
    return factory;
  }

  newInstance(args) {
    const file = super.newInstance(args);
    file.db = this.db;
    return file;
  }

  fromJSON(json) {
    const file = this.newInstance([json.id]);
    file.fromJSON(json);
    return file;
  }

  saveMetadata(bucket, metadata, done, fail) {
    return this.db.send({ method: 'PUT', path: url`/file/${bucket}`, ok: [204], body: metadata, type: 'json' }).then(done, fail);
  }

  loadMetadata(bucket, options, done, fail) {
    return this.db.send({ method: 'GET', path: url`/file/${bucket}`, ok: [200] }).then(({ entity }) => Object.fromEntries(
      Permission.BASE_PERMISSIONS.map((name) => [name, Permission.fromJSON(entity[name] || {})]),
    ), orNull).then(done, fail);
  }

  listBuckets(done, fail) {
    return this.db.send({ method: 'GET', path: '/file/buckets', ok: [200] })
      .then(({ entity }) => entity.map((bucket) => this.new(`${bucket}/`))).then(done, fail);
  }

  listFiles(folderOrPath, start, count, done, fail) {
    const folder = typeof folderOrPath === 'string' ? this.new({ path: withSlash(folderOrPath) }) : folderOrPath;
    const path = withQuery(`${url`/file/${folder.bucket}`}/ids`, { path: folder.key, start: start ? start.key : undefined, count });
    return this.db.send({ method: 'GET', path, ok: [200] }).then(({ entity }) => entity.map((id) => this.new(id))).then(done, fail);
  }
}

module.exports = { File, FileFactory };
