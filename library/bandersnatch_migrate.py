#!/usr/bin/python
"""Ansible module: a shell around the engine's `migrate.migrate`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bandersnatch_migrate
short_description: Take over a mirror of pep381client or bandersnatch
description:
  - Moves in where pep381client or bandersnatch (1.x to 8.x) has made a mirror. The data under C(web/) stays;
    the next run of M(bandersnatch_mirror) adopts it, and downloads only what is missing or wrong.
  - What there is no use for goes to C(before-migration/) in the mirror directory, with copies of the old
    config file and crontabs. Nothing is deleted, and no pickle is ever loaded.
  - The old config is carried over, and the cron jobs of the old program are taken out of the crontabs.
  - A directory that is of neither program is an error. One that has been taken over already is left as it is.
  - Run it as root.
options:
  directory:
    description: The mirror directory, as the old config or cron job names it.
    type: path
    default: /srv/pypi
  config:
    description: The config file to write.
    type: path
    default: /etc/bandersnatch.conf
  old_config:
    description: The old program's config file. It need not exist; pep381client has none.
    type: path
    default: /etc/bandersnatch.conf
  master:
    description: >-
      The index to mirror where the old config names none that is usable. Empty is the one that pip uses here.
    type: str
    default: ""
  owner:
    description: The user that the mirror is handed to. Empty leaves the owners as they are.
    type: str
    default: ""
  crontabs:
    description: Crontabs, and directories of such, out of which the old program's jobs are taken.
    type: list
    elements: path
    default: [/etc/crontab, /etc/cron.d, /var/spool/cron/crontabs]
attributes:
  check_mode:
    support: full
    description: Looks, and says what would be done; changes nothing.
  diff_mode:
    support: full
    description: Lists the steps.
"""

EXAMPLES = r"""
- name: Take over the mirror
  bandersnatch_migrate:
    directory: /srv/pypi
    owner: bandersnatch
"""

RETURN = r"""
changed:
  description: Whether there was, or in check mode is, something to take over.
  returned: always
  type: bool
program:
  description: Whose mirror it was, C(bandersnatch) or C(pep381client); empty where it is ours already.
  returned: success
  type: str
steps:
  description: A sentence for each thing that was, or in check mode would be, done.
  returned: success
  type: list
  elements: str
dropped:
  description: A sentence for each thing in the old config that was not carried over, with the reason.
  returned: success
  type: list
  elements: str
variables:
  description: The old config as variables of this project's roles, but for those that hold a password.
  returned: success
  type: dict
secret_variables:
  description: The names of the variables that hold a password; the new config file has their values.
  returned: success
  type: list
  elements: str
exit_code:
  description: The exit code that the README's table has for such an error.
  returned: failure
  type: int
"""

from ansible.module_utils.bandersnatch.errors import BandersnatchError
from ansible.module_utils.bandersnatch.migrate import Options, migrate
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Read the parameters, run the engine, hand the plan back."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "default": "/srv/pypi"},
            "config": {"type": "path", "default": "/etc/bandersnatch.conf"},
            "old_config": {"type": "path", "default": "/etc/bandersnatch.conf"},
            "master": {"type": "str", "default": ""},
            "owner": {"type": "str", "default": ""},
            "crontabs": {
                "type": "list",
                "elements": "path",
                "default": ["/etc/crontab", "/etc/cron.d", "/var/spool/cron/crontabs"],
            },
        },
        supports_check_mode=True,
    )
    options = Options(**{**module.params, "crontabs": tuple(module.params["crontabs"])})
    try:
        result = migrate(options, module.check_mode).as_dict(options)
    except BandersnatchError as error:
        module.fail_json(msg=str(error), changed=False, exit_code=error.exit_code)
    for line in result["dropped"]:
        module.warn(f"not carried over: {line}")
    if module._diff:
        result["diff"] = {"prepared": "".join(f"{step}\n" for step in result["steps"])}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
