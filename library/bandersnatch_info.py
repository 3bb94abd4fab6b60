#!/usr/bin/python
"""Ansible module: a shell around the engine's `announce.look`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bandersnatch_info
short_description: Say how a PyPI mirror is doing
description:
  - Reads what the mirror's runs have left, and changes nothing. It needs no lock, and works during a run.
  - A mirror that is stale, or that was never synced, is no error; look at C(status.fresh).
  - Run it as a user that may read the config file and the mirror directory.
options:
  config:
    description: The config file.
    type: path
    default: /etc/bandersnatch.conf
attributes:
  check_mode:
    support: full
    description: It never changes anything.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Look at the mirror
  bandersnatch_info:
  become: true
  become_user: bandersnatch
  register: mirror

- name: See that it is fresh
  ansible.builtin.assert:
    that: mirror.status.fresh
    fail_msg: "{{ mirror.summary }}"
"""

RETURN = r"""
summary:
  description: What C(bandersnatch status) prints.
  returned: success
  type: str
status:
  description: What C(bandersnatch status --json) prints. C(docs/status.md) explains each key.
  returned: success
  type: dict
  contains:
    schema:
      description: The version of this structure, 1.
      type: int
    version:
      description: Of the engine.
      type: str
    generated:
      description: When this was put together, as all times here ISO 8601 in UTC.
      type: str
    url:
      description: Where clients reach the mirror.
      type: str
    index_url:
      description: What installers take as their index.
      type: str
    upstream:
      description: The index that is mirrored.
      type: str
    fresh:
      description: Whether the last good sync is younger than C(stale-after).
      type: bool
    stale_after_seconds:
      description: How old it may be.
      type: int
    stale_at:
      description: When the mirror is stale unless a good sync comes before; null where there was none yet.
      type: str
    serial:
      description: Upstream's serial at the last good sync; null where upstream has none.
      type: int
    upstream_serial:
      description: Upstream's serial when it was last asked.
      type: int
    lag_serials:
      description: The difference of the two.
      type: int
    lag_seconds:
      description: How long ago the last good sync began.
      type: int
    last_run:
      description: The last run, null where there was none yet.
      type: dict
    last_good_run:
      description: The last run after which the mirror was in step with upstream.
      type: dict
    next_run_expected:
      description: When the next one is due, if they go on as they did; null where that is not known yet.
      type: str
    size:
      description: Projects, files, bytes; the volume's free and total bytes, growth, days until it is full.
      type: dict
    runs:
      description: The last runs that changed something or failed, the newest first.
      type: list
      elements: dict
    days:
      description: The size of the mirror day by day.
      type: list
      elements: dict
    statistics:
      description: Whether downloads are counted.
      type: bool
    downloads:
      description: Their total, and their number day by day; null where none were counted yet.
      type: dict
    running:
      description: The progress of the run that is going; null where there is none.
      type: dict
exit_code:
  description: The exit code that the README's table has for such an error.
  returned: failure
  type: int
"""

from ansible.module_utils.bandersnatch import announce, status
from ansible.module_utils.bandersnatch import config as bandersnatch_config
from ansible.module_utils.bandersnatch.errors import BandersnatchError
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Read the parameters, look, hand the status back."""
    module = AnsibleModule(
        argument_spec={"config": {"type": "path", "default": "/etc/bandersnatch.conf"}},
        supports_check_mode=True,
    )
    try:
        now = announce.look(bandersnatch_config.load(module.params["config"]))
    except BandersnatchError as error:
        module.fail_json(msg=str(error), exit_code=error.exit_code)
    module.exit_json(changed=False, status=status.as_dict(now), summary=status.text(now))


if __name__ == "__main__":
    main()
