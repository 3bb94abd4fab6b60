"""The package index that pip on the controller uses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

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
        try:
            return [default_index(sys.executable)]
        except BandersnatchError as error:
            raise AnsibleLookupError(str(error)) from error
