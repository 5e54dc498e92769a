// Whose picture it is, is what the server knows, whatever the client says.
const NODE = '/db/Role/2';

exports.onInsert = async function (db, picture) {
  const { me } = db.User;
  if (!me) throw new Abort('Log in first.');
  // This code may read all originals, so that it has to ask whose this one is: it would show a stranger's to everybody.
  if (!await isOriginalOf(me, picture.file)) throw new Abort('Upload a picture of your own first.');
  Object.assign(picture, { user: me, isDone: false, error: null });
  picture.acl.clear();
  picture.acl.allowReadAccess(me, NODE).allowWriteAccess(NODE);
};

async function isOriginalOf(user, file) {
  if (file?.bucket !== 'photos') return false;
  await file.loadMetadata();
  return file.isMetadataLoaded && file.acl.isWriteAllowed(user);
}
