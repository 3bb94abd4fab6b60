"""Says on one line what is wrong with a certificate and its key; nothing where nginx can use them.

Run on the host by its own Python, as root: check_pair.py CERTIFICATE KEY
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

CERTIFICATE, KEY = "bandersnatch_nginx_tls_certificate", "bandersnatch_nginx_tls_key"


def fault(certificate: str, key: str) -> str:
    """The variable at fault, the file, and what to do about it; or nothing."""
    for variable, path in ((CERTIFICATE, certificate), (KEY, key)):
        if not path:
            return f"{variable} is not set, which bandersnatch_nginx_tls: files needs"
        try:
            Path(path).read_bytes()
        except OSError as error:
            return f"{variable}: {path} cannot be read: {error.strerror}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError:
        return f"{CERTIFICATE}: {certificate} holds no certificate in PEM"
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return (
                f"{KEY}: {key} is not the key of the first certificate in {certificate} ({CERTIFICATE}); "
                "the site's own comes first, then those between it and its root"
            )
        return (
            f"{KEY}: {key} holds no private key in PEM, or one with a passphrase, which a start cannot type"
        )
    return ""


if __name__ == "__main__":
    print(fault(sys.argv[1], sys.argv[2]))
