// Makes avatars of a picture, for the profile of its user.
//
// It runs after the picture is committed, at least once: doing it again gives the same files, so that nothing has to be undone.
const image = require('image');

const AVATARS = {
  small: { crop: '1:1', width: 64, format: 'webp', quality: 80 },
  medium: { crop: '1:1', width: 256, format: 'webp', quality: 80 },
  large: { crop: '1:1', width: 1024, format: 'jpg', quality: 85 },
};
// Code has 64 MiB of memory; a picture is in it as a whole.
const MAX_MIB = 10;

exports.afterInsert = async function (db, picture) {
  try {
    const avatars = await avatarsOf(db, picture);
    const profile = await profileOf(db, picture.user.key);
    await Object.assign(profile, { avatars }).save({ force: true });
  } catch (error) {
    // No image, too large a one, a damaged one: trying again would not help, so the page is told.
    console.warn(`${picture.id}: ${error.message}`);
    picture.error = error.message;
  }
  await Object.assign(picture, { isDone: true }).update({ force: true });
};

async function avatarsOf(db, { file, user }) {
  await file.loadMetadata();
  if (file.size > MAX_MIB << 20) throw new Error(`the picture has more than ${MAX_MIB} MiB`);
  const original = await file.download({ type: 'arraybuffer' });
  const avatars = {};
  for (const [size, options] of Object.entries(AVATARS)) {
    const data = await image.render(original, options);
    const extension = options.format;
    const avatar = new db.File({
      parent: `/avatars/${user.key}`,
      name: `${size}.${extension}`,
      type: 'buffer',
      mimeType: extension === 'jpg' ? 'image/jpeg' : 'image/webp',
      data,
    });
    await avatar.upload({ force: true });
    avatars[size] = { file: avatar.id, bytes: data.length };
  }
  return avatars;
}

async function profileOf(db, key) {
  const found = await db.Profile.load(key);
  if (found) return found;
  const profile = new db.Profile();
  profile.id = `/db/Profile/${key}`;
  profile.user = db.User.ref(`/db/User/${key}`);
  return profile;
}
