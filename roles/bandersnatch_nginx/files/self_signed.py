"""Makes a key and a self-signed certificate for these names and addresses, where they are not there already.

Run on the host by its own Python, as root: self_signed.py [--check] FOLDER NAME...
Prints on one line why a certificate is made; nothing where the present one will do. The key stays the same as
long as it can be read, so that the certificate in place always fits it, whatever moment nginx is started at.
"""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

DAYS = 3650  # clients are given this very certificate: each new one is work for their owners
LAST_DAYS = 30  # of its life: a run in them makes a new one
# Not a CA: rustls (uv) refuses a CA's certificate as a server's; as its own trust anchor either will do.
REQUEST = """[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = {name}
[extensions]
subjectAltName = {names}
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
"""


def openssl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it; what it says is in the result."""
    return subprocess.run(["/usr/bin/openssl", *words], capture_output=True, text=True, check=False)  # noqa: S603


def alternative(name: str) -> tuple[str, str]:
    """A name as the certificate has it: its kind and its value."""
    try:
        return "IP", str(ipaddress.ip_address(name))
    except ValueError:
        return "DNS", name


def names_of(certificate: Path) -> set[tuple[str, str]]:
    """The names in a certificate: openssl prints `DNS:a, IP Address:192.0.2.1`."""
    found = openssl("x509", "-in", str(certificate), "-noout", "-ext", "subjectAltName").stdout
    words = [word.strip() for line in found.splitlines()[1:] for word in line.split(",")]
    return {alternative(word.partition(":")[2]) for word in words}


def reason(certificate: Path, key: Path, wanted: set[tuple[str, str]]) -> str:
    """Why a certificate must be made; nothing where the present one will do."""
    if not certificate.exists():
        return "there is none yet"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        return "the present one does not fit the key"
    if names_of(certificate) != wanted:
        return "the names have changed"
    if openssl("x509", "-in", str(certificate), "-noout", "-checkend", str(LAST_DAYS * 86400)).returncode:
        return f"the present one ends within {LAST_DAYS} days"
    return ""


def place(target: Path, mode: int, *words: str) -> None:
    """Have openssl write a file, and put it in its place when it is complete."""
    with tempfile.TemporaryDirectory(dir=target.parent) as hidden:  # 0700
        temporary = Path(hidden, target.name)
        done = openssl(*words, "-out", str(temporary))
        if done.returncode:
            sys.exit(f"openssl {words[0]}: {done.stderr.strip()}")
        temporary.chmod(mode)
        temporary.replace(target)


def make(certificate: Path, key: Path, names: list[str]) -> None:
    """Make the key, unless it is there, and the certificate."""
    if openssl("pkey", "-in", str(key), "-noout").returncode:
        place(key, 0o600, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    listed = ", ".join(f"{kind}:{value}" for kind, value in map(alternative, names))
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as request:
        request.write(REQUEST.format(name=names[0][:64], names=listed))
        request.flush()
        words = ["req", "-x509", "-new", "-key", str(key), "-days", str(DAYS), "-config", request.name]
        place(certificate, 0o644, *words)


def main(words: list[str]) -> None:
    """See the head of this file."""
    is_checking = words[0] == "--check"
    folder, *names = words[1:] if is_checking else words
    certificate, key = Path(folder, "certificate.pem"), Path(folder, "key.pem")
    why = reason(certificate, key, {alternative(name) for name in names})
    if why and not is_checking:
        make(certificate, key, names)
    print(why)


if __name__ == "__main__":
    main(sys.argv[1:])
