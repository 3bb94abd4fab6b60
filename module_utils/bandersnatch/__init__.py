"""A PyPI mirror: the engine behind the `bandersnatch` command and the Ansible modules.

It uses nothing of Ansible; `docs/architecture.md` says which file answers which question.
"""

VERSION = "1.0.0"
