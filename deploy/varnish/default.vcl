vcl 4.1;

# What is particular to one installation. Copy this file to /etc/varnish/default.vcl, put freshbase.vcl beside it, and change what is
# marked. The rules are in freshbase.vcl, which needs no changes.

# CHANGE: where Freshbase listens. Give it this machine in `trusted-proxies`, so that its limits count clients and not Varnish.
backend default {
    .host = "127.0.0.1";
    .port = "8080";
    # Functions may take longer than this allows; so may the first row of an export.
    .first_byte_timeout = 90s;
    # Event streams are silent for up to 30 s (`live-ping`).
    .between_bytes_timeout = 90s;
}

# CHANGE: the machines that Freshbase runs on. With something that ends TLS on this machine every client seems to come from here: the
# secret below is what protects you then.
acl freshbase_purgers {
    "127.0.0.1";
    "::1";
}

# CHANGE: the secret that Freshbase has in FRESHBASE_PURGE_VARNISH_SECRET. An empty one lets nobody purge.
sub freshbase_secret {
    if (req.http.purge-secret != "change me") {
        return (synth(403, "Forbidden"));
    }
}

include "freshbase.vcl";
