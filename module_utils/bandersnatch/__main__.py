"""`python3 -m bandersnatch`, from a checkout; the command on a host begins here, too."""

import signal
import sys

# Before the imports: who interrupts a run that has just begun gets the same exit code, and no traceback.
signal.signal(signal.SIGTERM, signal.default_int_handler)
try:
    from .cli import main

    code = main()
except KeyboardInterrupt:
    code = 130  # EXIT_INTERRUPTED, which may not be imported yet
sys.exit(code)
