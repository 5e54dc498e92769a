//! Certificates for tests.

/// A self-signed certificate and its key in PEM.
pub(crate) fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("names are fine");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

pub(crate) fn certificate(names: &[&str]) -> crate::Certificate {
    let (chain, key) = pair(names);
    crate::Certificate::from_pem(chain.as_bytes(), key.as_bytes()).expect("a pair")
}
