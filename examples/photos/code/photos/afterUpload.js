// Makes avatars of every picture that is uploaded to the bucket `photos` as photos/<user>/<name>.
//
// It runs after the upload is committed, at least once: doing it again gives the same files, so that nothing has to be undone.
const image = require('image');

const AVATARS = {
  small: { crop: '1:1', width: 64, format: 'webp', quality: 80 },
  medium: { crop: '1:1', width: 256, format: 'webp', quality: 80 },
  large: { crop: '1:1', width: 1024, format: 'jpg', quality: 85 },
};

exports.afterUpload = async function (db, file) {
  const [user, ...rest] = file.path.split('/');
  if (rest.length === 0) return;

  const profile = await profileOf(db, user);
  const original = await new db.File(file.id).download({ type: 'arraybuffer' });
  const avatars = {};
  try {
    for (const [size, options] of Object.entries(AVATARS)) {
      const data = await image.render(original, options);
      const extension = options.format;
      const avatar = new db.File({
        parent: `/avatars/${user}`,
        name: `${size}.${extension}`,
        type: 'buffer',
        mimeType: extension === 'jpg' ? 'image/jpeg' : 'image/webp',
        data,
      });
      await avatar.upload({ force: true });
      avatars[size] = { file: avatar.id, bytes: data.length };
    }
    Object.assign(profile, { avatars, original: file.id, error: null });
  } catch (error) {
    // No image, or a damaged one: trying again would not help, so the page is told.
    console.warn(`${file.id}: ${error.message}`);
    Object.assign(profile, { original: file.id, error: error.message });
  }
  await profile.save({ force: true });
};

async function profileOf(db, key) {
  const found = await db.Profile.load(key);
  if (found) return found;
  const profile = new db.Profile();
  profile.id = `/db/Profile/${key}`;
  profile.user = db.User.ref(`/db/User/${key}`);
  return profile;
}
