"""What each service manager has to be told about the service, as the text that it reads."""

from __future__ import annotations

import plistlib
from collections.abc import Sequence
from pathlib import Path
from subprocess import list2cmdline
from xml.sax.saxutils import escape

UNIT = "rwkv-music.service"
AGENT = "rwkv-music.daemon"
AGENT_OUTPUT = "out.txt"  # in the folder of its logs: what comes before there is a log
TASK = "RWKV Music"

# Longer than the supervisor gives a worker that loads a large model, and then one that hangs.
_WATCHDOG_S = 150
_RESTART_S = 5
_THROTTLE_S = 30  # launchd cannot tell a wrong configuration from a port that is not there yet

_UNIT = """\
[Unit]
Description=RWKV Music, a musical partner that goes on from what is played
After=sound.target pipewire.service jack.service
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
WatchdogSec={watchdog_s}
TimeoutStartSec={watchdog_s}
TimeoutStopSec=15
# A MIDI system that is not there yet may come; a wrong configuration or model stays wrong.
Restart=on-failure
RestartSec={restart_s}
RestartPreventExitStatus=2 4
# Real-time priority and locked memory, as far as this user may have them.
LimitRTPRIO=20
LimitMEMLOCK=infinity
RestrictRealtime=no
# /tmp, /dev/shm and the devices stay as they are: JACK and ALSA are reached through them.
NoNewPrivileges=yes
LockPersonality=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallArchitectures=native
UMask=0077

[Install]
WantedBy=default.target
"""

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>RWKV Music, a musical partner</Description></RegistrationInfo>
  <Triggers>
    <LogonTrigger><Enabled>true</Enabled><UserId>{user}</UserId></LogonTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{user}</UserId>
      <LogonType>InteractiveToken</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>4</Priority>
    <RestartOnFailure><Interval>PT1M</Interval><Count>255</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{program}</Command>
      <Arguments>{arguments}</Arguments>
    </Exec>
  </Actions>
</Task>
"""


def systemd_unit(command: Sequence[str]) -> str:
    """A unit of the user's own systemd."""
    return _UNIT.format(
        command=" ".join(_unit_word(word) for word in command),
        watchdog_s=_WATCHDOG_S,
        restart_s=_RESTART_S,
    )


def launchd_agent(command: Sequence[str], log_folder: Path) -> str:
    """An agent of macOS' launchd."""
    return plistlib.dumps(
        {
            "Label": AGENT,
            "ProgramArguments": list(command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _THROTTLE_S,
            "ProcessType": "Interactive",  # music is not to be throttled in the background
            "StandardErrorPath": str(log_folder / AGENT_OUTPUT),
        }
    ).decode()


def scheduled_task(command: Sequence[str], user: str) -> str:
    """A task of Windows' scheduler, that starts when this user (DOMAIN\\NAME) logs on: without the
    name it would be everybody's, which only an administrator may install."""
    return _TASK.format(
        program=escape(command[0]),
        arguments=escape(list2cmdline(command[1:])),
        user=escape(user),
    )


def _unit_word(word: str) -> str:
    """As systemd.service(5) reads it: quotes, and no specifiers or variables."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if not word or set(word) & set(" \t'\"\\;") else escaped
