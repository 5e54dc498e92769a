//! Encryption of one message for one browser: RFC 8291, in the content coding `aes128gcm` of RFC 8188.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use crate::Subscription;

/// Length of the one record. What push services must take is just as long (RFC 8291, section 4).
pub(crate) const RECORD: usize = 4096;
/// Salt, record size, length of the key, key.
const HEADER: usize = 16 + 4 + 1 + 65;
/// Longest plain text: the record without header, tag and the byte that ends the text.
pub(crate) const MAX_PLAIN: usize = RECORD - HEADER - 16 - 1;

/// The body of a message that only the browser can read. Fails if the text is longer than [`MAX_PLAIN`], or the system gives
/// no randomness.
pub(crate) fn encrypt(subscription: &Subscription, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let private = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let sender: [u8; 65] = private
        .compute_public_key()?
        .as_ref()
        .try_into()
        .map_err(|_| Unspecified)?;
    let receiver = UnparsedPublicKey::new(&ECDH_P256, &subscription.public_key);
    agree_ephemeral(private, &receiver, |shared| {
        let keys = ContentKeys::derive(shared, &subscription.public_key, &sender, &subscription.auth, &salt)?;
        keys.seal(&sender, &salt, plain)
    })?
}

/// What one message is encrypted with.
pub(crate) struct ContentKeys {
    key: [u8; 16],
    nonce: [u8; 12],
}

impl ContentKeys {
    /// From the secret that both sides share. Source: RFC 8291, section 3.4.
    pub(crate) fn derive(
        shared: &[u8],
        receiver: &[u8; 65],
        sender: &[u8; 65],
        auth: &[u8; 16],
        salt: &[u8; 16],
    ) -> Result<Self, Unspecified> {
        let input: [u8; 32] = expand(auth, shared, &[b"WebPush: info\0", receiver, sender])?;
        Ok(Self {
            key: expand(salt, &input, &[b"Content-Encoding: aes128gcm\0"])?,
            nonce: expand(salt, &input, &[b"Content-Encoding: nonce\0"])?,
        })
    }

    fn seal(&self, sender: &[u8; 65], salt: &[u8; 16], plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        if plain.len() > MAX_PLAIN {
            return Err(Unspecified);
        }
        // 2 marks the last record; there is one.
        let mut record = [plain, &[2]].concat();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.key)?);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)?;
        let size = u32::try_from(RECORD).map_err(|_| Unspecified)?.to_be_bytes();
        Ok([&salt[..], &size, &[65], sender, &record].concat())
    }

    /// The plain text of a record, for the receiving side in tests.
    #[cfg(feature = "testkit")]
    pub(crate) fn open(&self, record: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut record = record.to_vec();
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.key)?);
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let plain = key.open_in_place(nonce, Aad::empty(), &mut record)?;
        let end = plain.iter().rposition(|byte| *byte != 0).ok_or(Unspecified)?;
        if plain[end] != 2 {
            return Err(Unspecified);
        }
        Ok(plain[..end].to_vec())
    }
}

/// HKDF with SHA-256 (RFC 5869).
fn expand<const N: usize>(salt: &[u8], secret: &[u8], info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut out = [0; N];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Length(N))?
        .fill(&mut out)?;
    Ok(out)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::{from_any_base64, to_base64url};

    /// RFC 8291, section 5 and appendix A. The private keys of the example cannot be given to `ring`, so this begins with
    /// the shared secret, which the appendix states as well.
    #[test]
    fn the_example_of_the_rfc_comes_out_byte_by_byte() {
        fn bytes<const N: usize>(text: &str) -> [u8; N] {
            from_any_base64(text).unwrap().try_into().unwrap()
        }
        let sender =
            bytes::<65>("BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8");
        let receiver =
            bytes::<65>("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let shared = bytes::<32>("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let (auth, salt) = (
            bytes::<16>("BTBZMqHH6r4Tts7J_aSIgg"),
            bytes::<16>("DGv6ra1nlYgDCS1FRnbzlw"),
        );
        let keys = ContentKeys::derive(&shared, &receiver, &sender, &auth, &salt).unwrap();
        assert_eq!(to_base64url(&keys.key), "oIhVW04MRdy2XN9CiKLxTg");
        assert_eq!(to_base64url(&keys.nonce), "4h_95klXJ5E_qnoN");
        let body = keys
            .seal(&sender, &salt, b"When I grow up, I want to be a watermelon")
            .unwrap();
        assert_eq!(
            to_base64url(&body),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
        assert_eq!(body.len(), 144);
    }

    #[test]
    fn the_longest_text_fills_what_services_must_take_and_one_byte_more_is_refused() {
        let browser = crate::testkit::Browser::new();
        let subscription = Subscription::from_json(&browser.subscription("https://push.example/x")).unwrap();
        let body = encrypt(&subscription, &[b'x'; MAX_PLAIN]).unwrap();
        assert_eq!(body.len(), RECORD);
        assert_eq!(browser.decrypt(&body), [b'x'; MAX_PLAIN]);
        assert!(encrypt(&subscription, &[b'x'; MAX_PLAIN + 1]).is_err());
    }

    #[test]
    fn two_messages_share_neither_salt_nor_key() {
        let browser = crate::testkit::Browser::new();
        let subscription = Subscription::from_json(&browser.subscription("https://push.example/x")).unwrap();
        let (a, b) = (
            encrypt(&subscription, b"x").unwrap(),
            encrypt(&subscription, b"x").unwrap(),
        );
        assert_ne!(a[..16], b[..16]);
        assert_ne!(a[21..86], b[21..86]);
    }
}
