//! What the provider can do wrong.

/// One misbehaviour. Each of them has to end in a refused login, but for those that say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The id token names another issuer; with a tenant, the issuer of another tenant.
    WrongIssuer,
    /// The id token is for another client.
    WrongAudience,
    /// The id token is for this client and another, and does not say whose it is.
    SeveralAudiences,
    /// The id token was given to another client.
    WrongAuthorizedParty,
    /// The id token has expired.
    Expired,
    /// The id token was issued an hour from now.
    FutureIssuedAt,
    /// The id token begins to be valid an hour from now.
    NotYetValid,
    /// The id token has the nonce of another login.
    WrongNonce,
    /// The id token has no nonce.
    MissingNonce,
    /// The id token is not signed and says so.
    AlgorithmNone,
    /// The id token is signed with HMAC, the public key being the secret.
    HmacWithPublicKey,
    /// The id token names a key that is not published.
    UnknownKey,
    /// The id token names no key.
    MissingKey,
    /// The id token is signed with a foreign key, under the name of a published one.
    ForeignKey,
    /// The published keys were exchanged for others of the same names.
    SwappedKeys,
    /// The signature is cut off.
    NoSignature,
    /// The header has an extension that must be understood.
    CriticalExtension,
    /// An access token in the place of the id token.
    AccessTokenAsIdToken,
    /// The id token belongs to another access token.
    WrongAccessTokenHash,
    /// No id token.
    MissingIdToken,
    /// An empty id token.
    EmptyIdToken,
    /// No access token.
    MissingAccessToken,
    /// The subject is an empty text.
    EmptySubject,
    /// There is no subject.
    MissingSubject,
    /// The subject is a number.
    NumericSubject,
    /// User info is about somebody else. Shows only with [`Idp::set_email_in_user_info`](super::Idp::set_email_in_user_info).
    UserInfoOfAnother,
    /// There is no `email_verified`. The login succeeds, without a verified address.
    MissingEmailVerified,
    /// `email_verified` is false. The login succeeds, without a verified address.
    UnverifiedEmail,
    /// `email_verified` is the text `true`. The login succeeds, without a verified address.
    TextEmailVerified,
    /// The discovery document names another issuer.
    WrongDiscoveryIssuer,
    /// The discovery document leads to addresses inside of the network.
    InternalEndpoints,
    /// The discovery document sends the browser to a script.
    ScriptEndpoint,
    /// The browser comes back with an error.
    AuthorizeError,
    /// The browser comes back with another state.
    WrongState,
    /// The browser comes back as if from another issuer.
    MixUp,
    /// The browser comes back without `iss`, although the discovery document announces it.
    MissingIssuerParameter,
    /// The token endpoint refuses the code.
    RefusedCode,
}

/// How one address of the provider is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// It redirects to [`Idp::url`](super::Idp::url)`("/trap")`, whose requests can be counted.
    Redirect,
    /// It answers two megabytes.
    Huge,
    /// It answers no JSON, with status 200.
    Garbage,
    /// It answers JSON, but no object.
    WrongShape,
    /// It fails with status 500.
    Failure,
    /// It closes the connection without an answer.
    NoAnswer,
}
