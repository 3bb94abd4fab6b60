"""Moves the clock of a command under test by FAKE_CLOCK seconds: Python imports this file by itself."""

import os
import time

_shift = float(os.environ.get("FAKE_CLOCK", "0"))
_time, _gmtime, _strftime = time.time, time.gmtime, time.strftime
time.time = lambda: _time() + _shift
time.time_ns = lambda: int((_time() + _shift) * 1e9)
time.gmtime = lambda seconds=None: _gmtime(time.time() if seconds is None else seconds)
time.strftime = lambda form, moment=None: _strftime(form, time.gmtime() if moment is None else moment)
