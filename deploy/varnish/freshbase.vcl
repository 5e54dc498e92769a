# Rules for Varnish 7 in front of Freshbase. Needs the modules xkey and header (Debian: varnish-modules).
#
# To be included by a file that defines `backend default`, `acl freshbase_purgers` and `sub freshbase_secret`: see default.vcl.
#
# What is stored: answers with status 200 that say that everybody may have them, for as long as they say (s-maxage, or else max-age), and
# at most a minute if they carry no surrogate key, because they could not be purged. Nothing is served that is older.
#
# What is not: answers to requests with other methods, with tokens in the URL, of which a client says that it wants a fresh one, or that
# name one of the server's own tools; answers that are private, set cookies or tokens, or vary by more than Accept, Accept-Encoding
# and Origin.
#
# A request whose answer might be stored reaches the server with the headers that the answer may depend on, and no others: what
# a client makes up cannot be in what other clients get.

import std;
import header;
import xkey;

sub vcl_recv {
    # --- What is outdated is dropped.
    if (req.method == "PURGE") {
        if (client.ip !~ freshbase_purgers || !req.http.purge-secret || req.http.purge-secret == "") {
            return (synth(403, "Forbidden"));
        }
        call freshbase_secret;
        if (req.http.purge-everything) {
            ban("obj.status != 0");
            return (synth(200, "Purged everything"));
        }
        if (req.http.purge-keys) {
            set req.http.purge-count = xkey.purge(req.http.purge-keys);
            return (synth(200, "Purged " + req.http.purge-count));
        }
        # This URL, in all its variants.
        set req.http.Host = std.tolower(req.http.Host);
        return (purge);
    }
    unset req.http.purge-secret;
    unset req.http.purge-everything;
    unset req.http.purge-keys;

    # --- Who asks for what.
    if (!req.http.Host) {
        return (synth(400, "Bad Request"));
    }
    set req.http.Host = std.tolower(req.http.Host);
    # The operator's tools are for the operator, who does not come this way.
    if (req.url ~ "^/(metrics|admin|\.freshbase)([/?]|$)") {
        return (synth(404, "Not Found"));
    }
    if (req.http.Upgrade ~ "(?i)^websocket$") {
        return (pipe);
    }
    if (req.method !~ "^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)$") {
        return (synth(405, "Method Not Allowed"));
    }

    # Nobody but proxies says these, and none that the server knows of is in front of this one. (httpoxy: Proxy.)
    unset req.http.Forwarded;
    unset req.http.Proxy;
    unset req.http.X-Forwarded-Host;
    unset req.http.X-Forwarded-Server;
    unset req.http.X-Forwarded-Port;
    unset req.http.X-Forwarded-Prefix;
    unset req.http.X-Forwarded-Scheme;
    unset req.http.X-Host;
    unset req.http.X-Original-URL;
    unset req.http.X-Rewrite-URL;
    unset req.http.X-HTTP-Method;
    unset req.http.X-HTTP-Method-Override;
    unset req.http.X-Method-Override;

    if (req.method != "GET" && req.method != "HEAD") {
        return (pass);
    }
    # Tokens in URLs, and URLs that are made for one request.
    if (req.url ~ "[?&](BAT|BCB)=") {
        return (pass);
    }
    # Clients ask like this for what the filter names: only the server may answer, with 304 if it is the same. It does so for each of them.
    # That the copy here would be fresh enough cannot be proved: a purge may be late.
    if (req.http.Cache-Control ~ "(?i)no-cache|no-store|max-age=0" || req.http.Pragma ~ "(?i)no-cache") {
        return (pass);
    }
    if (req.http.If-Match || req.http.If-Unmodified-Since || req.http.If-Range) {
        return (pass);
    }
    # gzip is what Varnish can undo for those who do not take it.
    if (req.http.Accept-Encoding ~ "(?i)gzip") {
        set req.http.Accept-Encoding = "gzip";
    } else {
        unset req.http.Accept-Encoding;
    }

    # --- Objects and files: the answer is the same with a token and without, or it is not stored.
    if (req.url ~ "^(/apps/[^/?]+)?/v1/db/(?!(User|Role|Device)/)[^/?]+/(?!(query|count|ids)(\?|$))[^/?]+(\?|$)"
        || req.url ~ "^(/apps/[^/?]+)?/v1/file/[^/?]+/[^?]") {
        return (hash);
    }
    # --- Pages, and what clients begin with: for those who are nobody yet.
    if (req.http.Authorization) {
        return (pass);
    }
    if (req.url ~ "^(/apps/[^/?]+)?/v1/(connect|bloomfilter)(\?|$)" && !req.http.Cookie) {
        return (hash);
    }
    if (req.url ~ "^(/apps/[^/?]+)?/v1([/?]|$)" || req.url ~ "^/(setup|healthz|readyz)([/?]|$)") {
        return (pass);
    }
    return (hash);
}

sub vcl_pipe {
    # Varnish takes these off; a WebSocket begins with them.
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = "Upgrade";
    }
}

sub vcl_backend_fetch {
    if (!bereq.uncacheable) {
        # Lines of other headers become one that is removed. In front of the colon: names, in any capitals.
        header.regsub(bereq, "(?i)^(?!(host|accept|accept-encoding|origin|authorization|if-none-match|if-modified-since|x-forwarded-for):).*$", "freshbase-dropped: 1");
        unset bereq.http.freshbase-dropped;
    }
}

sub vcl_backend_response {
    # No copy outlives its lifetime, also while another one is fetched.
    set beresp.grace = 0s;
    if (bereq.uncacheable) {
        return (deliver);
    }
    if (beresp.status != 200
        || beresp.ttl <= 0s
        || beresp.http.Cache-Control !~ "(?i)(^|[ ,])(s-maxage|max-age) *="
        || beresp.http.Cache-Control ~ "(?i)(^|[ ,])(private|no-cache|no-store)"
        || (bereq.http.Authorization && beresp.http.Cache-Control !~ "(?i)(^|[ ,])(public|s-maxage)")
        || beresp.http.Set-Cookie
        || beresp.http.WWW-Authenticate
        || beresp.http.baqend-authorization-token
        || beresp.http.baqend-mfa-auth-token
        || beresp.http.Vary ~ "\*"
        || beresp.http.Vary ~ "(?i)(^|,) *(?!(accept|accept-encoding|origin) *(,|$))[a-z]") {
        # Until it says something else, clients do not wait for one another's answers.
        set beresp.uncacheable = true;
        set beresp.ttl = 30s;
        return (deliver);
    }
    # Parts of what is large are better asked for as parts.
    if (!beresp.http.Transfer-Encoding && std.integer(beresp.http.Content-Length, 0) > 10485760) {
        return (pass(60s));
    }
    if (beresp.http.Surrogate-Key) {
        set beresp.http.xkey = beresp.http.Surrogate-Key;
    } else {
        unset beresp.http.xkey;
        if (beresp.ttl > 60s) {
            set beresp.ttl = 60s;
        }
    }
    # So long it can be confirmed instead of being sent again.
    set beresp.keep = 60s;
    return (deliver);
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
    unset resp.http.xkey;
    unset resp.http.Surrogate-Key;
    unset resp.http.Surrogate-Control;
}

sub vcl_synth {
    set resp.http.Content-Type = "text/plain; charset=utf-8";
    set resp.http.Cache-Control = "no-store";
    set resp.body = resp.reason + {"
"};
    return (deliver);
}

sub vcl_backend_error {
    set beresp.http.Content-Type = "text/plain; charset=utf-8";
    set beresp.http.Cache-Control = "no-store";
    set beresp.http.Retry-After = "1";
    set beresp.uncacheable = true;
    set beresp.ttl = 0s;
    set beresp.body = {"The server cannot be reached. Please try again.
"};
    return (deliver);
}
