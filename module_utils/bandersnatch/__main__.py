"""`python3 -m bandersnatch`, from a checkout."""

import sys

from .cli import main

sys.exit(main())
