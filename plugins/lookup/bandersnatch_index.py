"""The package index that pip on the controller uses."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812 - as all of Ansible calls it
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

# Where pip looks is the engine's knowledge. It is no package of the controller's: it lies in this checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "module_utils"))
from bandersnatch.errors import BandersnatchError
from bandersnatch.upstream import default_index

DOCUMENTATION = """
name: bandersnatch_index
short_description: The package index that pip on the controller uses
description:
  - Its environment, else its config, else its own default. Right at once behind a company's proxy, too.
options: {}
"""

EXAMPLES = """
- name: Say which index pip uses here
  ansible.builtin.debug:
    msg: "{{ lookup('bandersnatch_index') }}"
"""

RETURN = """
_raw:
  description: The base URL, in a list of one.
  type: list
  elements: str
"""


class LookupModule(LookupBase):
    """`lookup('bandersnatch_index')`."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """One URL; takes no terms."""
        # pip takes a second to answer: once a run is enough. The folder is this run's own, and private.
        kept = Path(C.DEFAULT_LOCAL_TMP) / "bandersnatch-index"
        if kept.exists():
            return [kept.read_text(encoding="utf-8")]
        try:
            url = default_index(sys.executable)
        except BandersnatchError as error:
            raise AnsibleLookupError(str(error)) from error
        part = kept.with_suffix(f".{os.getpid()}")  # hosts ask side by side
        part.write_text(url, encoding="utf-8")
        part.rename(kept)
        return [url]
