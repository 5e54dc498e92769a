//! Nothing that one client makes up is in what other clients get from Varnish.

use fb_testkit::{Answer, Imitation, Varnish};

/// Headers that servers have been known to look at, and some that none has.
const UNKEYED: &[&str] = &[
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Scheme",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "Forwarded",
    "X-Host",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Method-Override",
    "X-Real-IP",
    "X-Requested-With",
    "True-Client-IP",
    "Proxy",
    "Cookie",
    "Referer",
    "User-Agent",
    "Accept-Language",
    "Range",
    "baqend-acl",
    "freshbase-edge",
    "Surrogate-Key",
    "xkey",
    "X-Anything-At-All",
    "Host-X",
    "X-Accept",
];

#[test]
fn s31_headers_that_answers_do_not_vary_by_reach_the_server_in_no_request_whose_answer_is_stored() {
    // A server that is as gullible as can be: it answers with all that it was asked.
    let origin = Imitation::start(|asked| {
        let all: String = asked
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let headers = [
            ("cache-control", "public, max-age=60"),
            ("surrogate-key", "k"),
            ("vary", "Origin"),
        ];
        Answer::new(200, &headers, &all)
    });
    let varnish = Varnish::start(origin.address());
    let client = varnish.client();
    for (i, name) in UNKEYED.iter().enumerate() {
        for area in ["/v1/db/T", "/v1/file/www", "/pages"] {
            let path = format!("{area}/{i}");
            let headers = [(*name, "evil.test")];
            let answer = client.request("GET", &path, &headers, b"");
            let text = String::from_utf8(answer.body).unwrap();
            assert!(!text.contains("evil"), "{name}: {text}");
            let next = client.get(&path).expect(200);
            let text = String::from_utf8(next.body).unwrap();
            assert!(!text.contains("evil"), "{name}: {text}");
        }
    }
    // Of these, which it does vary by, or which everybody sends, each client's own comes along.
    let accept = client.request("GET", "/v1/db/T/x", &[("origin", "https://a.test")], b"");
    assert!(String::from_utf8(accept.body).unwrap().contains("https://a.test"));
    let other = client.request("GET", "/v1/db/T/x", &[("origin", "https://b.test")], b"");
    assert!(String::from_utf8(other.body).unwrap().contains("https://b.test"));
}

#[test]
fn s31_hosts_have_copies_of_their_own() {
    let origin = Imitation::start(|asked| {
        let host = asked.header("host").unwrap_or_default().to_owned();
        Answer::new(200, &[("cache-control", "public, max-age=60")], &host)
    });
    let varnish = Varnish::start(origin.address());
    let ask = |host: &str| {
        let answer = varnish.client().request("GET", "/v1/db/T/1", &[("host", host)], b"");
        String::from_utf8(answer.expect(200).body).unwrap()
    };
    for host in ["a.test", "b.test", "a.test:8443"] {
        assert_eq!(ask(host), host);
    }
    assert_eq!(ask("A.TEST"), "a.test");
    assert_eq!(origin.asked().len(), 3);
}
