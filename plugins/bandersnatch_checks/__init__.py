"""What the controller checks before anything is changed on a host."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The engine says what its config file can hold. It is no package of the controller's: it lies here.
sys.path.insert(0, str(ROOT / "module_utils"))
