#!/usr/bin/python
"""Ansible module: a shell around the engine's `stats.update_stats`."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bandersnatch_stats
short_description: Count the downloads from a PyPI mirror
description:
  - Reads what is new in the web server's access logs, by the pattern C(access-log-pattern) of the config
    file, and writes the statistics under C(web/local-stats/).
  - Each line of a log is counted once, whatever the rotation, the order of runs and interruptions.
  - A mirror with statistics off, or with no log yet, is no error.
  - Run it as the user that owns the mirror directory; it must be able to read the logs.
options:
  config:
    description: The config file.
    type: path
    default: /etc/bandersnatch.conf
  wait:
    description: How many seconds to wait for another run (of cron, say) that is at it.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Reads the logs and reports what would be written; writes nothing.
  diff_mode:
    support: full
    description: Names the days whose files were or would be written.
"""

EXAMPLES = r"""
- name: Bring the download statistics up to date
  bandersnatch_stats:
  become: true
  become_user: bandersnatch
"""

RETURN = r"""
changed:
  description: Whether a file under C(web/local-stats/) changed, or in check mode would change.
  returned: always
  type: bool
logs:
  description: How many files the pattern matches.
  returned: when the run came to an end
  type: int
logs_read:
  description: How many of them had something new.
  returned: when the run came to an end
  type: int
lines:
  description: How many lines were read for the first time.
  returned: when the run came to an end
  type: int
downloads:
  description: How many downloads were counted in this run.
  returned: when the run came to an end
  type: int
not_downloads:
  description: How many lines were of the log's format, but no download or a further part of one.
  returned: when the run came to an end
  type: int
broken:
  description: How many lines were none of an access log.
  returned: when the run came to an end
  type: int
days_written:
  description: The complete days (YYYY-MM-DD, UTC) whose files changed.
  returned: when the run came to an end
  type: list
  elements: str
days_kept:
  description: The days whose file another program wrote; it was left as it is.
  returned: when the run came to an end
  type: list
  elements: str
summary_changed:
  description: Whether C(summary.json) changed.
  returned: when the run came to an end
  type: bool
problems:
  description: A sentence for each log that could not be read.
  returned: when the run came to an end
  type: list
  elements: str
pattern:
  description: The pattern of the logs; null where statistics are off.
  returned: when the run came to an end
  type: str
summary:
  description: The run in one line, and the problems.
  returned: when the run came to an end
  type: str
exit_code:
  description: What the C(bandersnatch) command would have exited with. The README has the table.
  returned: always
  type: int
"""

from ansible.module_utils.bandersnatch import config as bandersnatch_config
from ansible.module_utils.bandersnatch import lock, stats
from ansible.module_utils.bandersnatch.errors import BandersnatchError
from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Read the parameters, run the engine, hand the summary back."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "default": "/etc/bandersnatch.conf"},
            "wait": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    try:
        config = bandersnatch_config.load(module.params["config"])
        summary = lock.patiently(
            lambda: stats.update_stats(config, dry_run=module.check_mode), module.params["wait"]
        )
    except BandersnatchError as error:
        module.fail_json(msg=str(error), changed=False, exit_code=error.exit_code)
    for warning in config.warnings:
        module.warn(warning)
    result = {**summary.as_dict(), "summary": summary.text()}
    if module._diff:
        result["diff"] = {"prepared": "".join(f"+ {day}\n" for day in summary.days_written)}
    if summary.exit_code:
        module.fail_json(msg="; ".join(summary.problems), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
