"""`python3 -m bandersnatch`, from a checkout; the command on a host begins here, too."""

import os
import signal
import sys

# File names are UTF-8, as the URLs are that lead to them, whatever this host's locale.
if sys.getfilesystemencoding() != "utf-8":
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves
# Before the imports: who interrupts a run that has just begun gets the same exit code, and no traceback.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    from .cli import main

    code = main()
except KeyboardInterrupt:
    code = 130  # EXIT_INTERRUPTED, which may not be imported yet
sys.exit(code)
