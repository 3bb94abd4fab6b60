#!/usr/bin/python
"""Ansible module: a shell around the engine's `sync.mirror`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bandersnatch_mirror
short_description: Converge a PyPI mirror to its upstream
description:
  - Compares the mirror directory with the upstream index and changes what differs, and nothing else.
  - Files go in before the pages that link them, and leave after them, so what is served is always whole.
  - Run it as the user that owns the mirror directory.
  - Through this project's action plugin of the same name the sync runs detached, shows its progress and
    outlives the connection.
options:
  config:
    description: The config file.
    type: path
    default: /etc/bandersnatch.conf
  force_check:
    description: Check every page against upstream and every file against its hash, whatever the state says.
    type: bool
    default: false
  allow_removals:
    description: Let this run remove more projects than the deletion guard allows.
    type: bool
    default: false
  wait:
    description: How many seconds to wait for another run (of cron, say) that holds the mirror directory.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Asks upstream and reports what would change; writes nothing.
  diff_mode:
    support: full
    description: Names the projects that were or would be added (+), updated (~) and removed (-).
"""

EXAMPLES = r"""
- name: Converge the mirror to its upstream
  bandersnatch_mirror:
  become: true
  become_user: bandersnatch

- name: Check every file against its hash
  bandersnatch_mirror:
    force_check: true
  become: true
  become_user: bandersnatch
"""

RETURN = r"""
changed:
  description: Whether anything that is served changed, or in check mode would change.
  returned: always
  type: bool
added:
  description: Normalised names of the projects that are new.
  returned: when the run came to an end
  type: list
  elements: str
updated:
  description: Normalised names of the projects whose page or files changed.
  returned: when the run came to an end
  type: list
  elements: str
removed:
  description: Normalised names of the projects that are gone.
  returned: when the run came to an end
  type: list
  elements: str
files_added:
  description: How many files were downloaded.
  returned: when the run came to an end
  type: int
files_removed:
  description: How many files were deleted.
  returned: when the run came to an end
  type: int
bytes_added:
  description: Size of the downloaded files in bytes; in check mode as far as upstream states their sizes.
  returned: when the run came to an end
  type: int
failures:
  description: The projects that could not be brought up to date. The next run tries them again.
  returned: when the run came to an end
  type: list
  elements: dict
  contains:
    name:
      description: Normalised name.
      type: str
    reason:
      description: Why, on one line.
      type: str
serial:
  description: The serial of upstream that the mirror has reached; null where upstream has none.
  returned: when the run came to an end
  type: int
projects:
  description: How many projects the mirror holds.
  returned: when the run came to an end
  type: int
summary:
  description: The run in one line, and the failures.
  returned: when the run came to an end
  type: str
exit_code:
  description: What the C(bandersnatch) command would have exited with. The README has the table.
  returned: always
  type: int
"""

from typing import Any

from ansible.module_utils.bandersnatch import config as bandersnatch_config
from ansible.module_utils.bandersnatch import lock, sync
from ansible.module_utils.bandersnatch.errors import BandersnatchError
from ansible.module_utils.bandersnatch.progress import make_progress
from ansible.module_utils.bandersnatch.summary import Summary
from ansible.module_utils.basic import AnsibleModule

FAILURES_NAMED = 5  # in the message; the return value has them all


def mirror(params: dict[str, Any], config: bandersnatch_config.Config, dry_run: bool) -> Summary:
    """Run the engine."""
    options = sync.Options(
        dry_run=dry_run, force_check=params["force_check"], allow_removals=params["allow_removals"]
    )
    progress = make_progress(config, quiet=True, file=not dry_run)
    try:
        return sync.mirror(config, options, progress)
    finally:
        progress.close()


def diff_of(summary: Summary) -> dict[str, str]:
    """The projects by name, as lines of a diff."""
    groups = (("+", summary.added), ("~", summary.updated), ("-", summary.removed))
    return {"prepared": "".join(f"{sign} {name}\n" for sign, names in groups for name in names)}


def message_of(summary: Summary) -> str:
    """One line for a run that did not bring everything, naming the first projects that failed."""
    if summary.interrupted:
        return "the sync was interrupted; the next run takes up the rest"
    named = [f"{name} ({reason})" for name, reason in summary.failures[:FAILURES_NAMED]]
    rest = len(summary.failures) - len(named)
    more = f", and {rest} more" if rest else ""
    return f"{len(summary.failures)} projects failed; the next run tries again: {', '.join(named)}{more}"


def main() -> None:
    """Read the parameters, run the engine, hand the summary back."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "default": "/etc/bandersnatch.conf"},
            "force_check": {"type": "bool", "default": False},
            "allow_removals": {"type": "bool", "default": False},
            "wait": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        config = bandersnatch_config.load(module.params["config"])
        summary = lock.patiently(
            lambda: mirror(module.params, config, module.check_mode), module.params["wait"]
        )
    except BandersnatchError as error:
        module.fail_json(msg=str(error), changed=False, exit_code=error.exit_code)
    for warning in config.warnings:
        module.warn(warning)
    result = {**summary.as_dict(), "summary": summary.text()}
    if module._diff:
        result["diff"] = diff_of(summary)
    if summary.exit_code:
        module.fail_json(msg=message_of(summary), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
