"""The configuration in words: config.yaml and docs/configuration.md are made here.

`python -m rwkv_music_daemon.config_document` writes both; a test keeps them equal.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from .config import Config, to_dict
from .learning import LEARNING_S
from .midi_map import COMMANDS, EXPECTED
from .parameters import PARAMETERS

_YAML_HEAD = """\
# RWKV Music. Name this file with --config, or keep what you change of it where
# `rwkv-music-daemon config check` says. One key at a time: --set osc.port=7780
"""
_MARKDOWN_HEAD = r"""# Configuration

<!-- Made by `python -m rwkv_music_daemon.config_document`: change the code, not this page. -->

Everything has a default, so the service runs without a file. With one, it is the file named by
`--config`, or else `~/.config/rwkv-music/config.yaml` (where `$XDG_CONFIG_HOME` says; on macOS in
`~/Library/Application Support/rwkv-music/`, on Windows in `%APPDATA%\rwkv-music\`).
`--set section.key=value` changes one key and wins over the file. A relative path begins in the
folder of the file that it stands in, and with `--set` in the folder where you are.

`rwkv-music-daemon config check` finds mistakes; `config show` prints what is in effect, and
`config show -o FILE` makes a file of it to start from (`>` would empty the file in effect before
it is read). The values of `generation` can be changed at any time over OSC, see [osc.md](osc.md).
"""
_MARKDOWN_TRIGGERS = f"""
## Commands by MIDI

`midi.triggers` maps commands to messages. A message is written {EXPECTED}. A
controller fires when it reaches 64, a note when it is struck. The messages are consumed: neither
heard as music nor passed through.

```yaml
midi:
  triggers:
    toggle: cc 64 ch 16
    panic: note 21
```

On the command line: `--set "midi.triggers.toggle=cc 64 ch 16"`. While the service runs,
`rwkv-music-daemon ctl learn trigger` (`/rwkv/learn` over OSC) takes the next controller, note or
program change, if it comes within {LEARNING_S} s; `ctl learn` calls that off, `ctl learn/list`
tells what there is, `ctl unlearn trigger` goes back to what is configured. What was learned is kept
in `learned.json` in the folder of `service.data_dir`, and counts more than the configuration until
that changes: a command, or a message, that `midi.triggers` gives anew, in the file or by `--set`,
is what it says.

| command | OSC request |
|---|---|
"""


def commented_yaml(config: Config) -> str:
    """A configuration file with every key, its meaning and what it may be."""
    parts = [_YAML_HEAD]
    for name, values in to_dict(config).items():
        section = getattr(config, name)
        parts.append(f"\n# {_title(section)}\n{name}:\n")
        for key, value in values.items():
            meaning, expected = _about(section, key)
            parts.append(_comment(f"{meaning} {expected[0].upper()}{expected[1:]}."))
            parts.append(textwrap.indent(_dumped({key: value}), "  "))
    return "".join(parts)


def markdown() -> str:
    """docs/configuration.md."""
    commands = (
        f"| `{command}` | `{' '.join((address, *args))}` |\n"
        for command, (address, args) in COMMANDS.items()
    )
    return "".join([_MARKDOWN_HEAD, *_tables(), _MARKDOWN_TRIGGERS, *commands])


def _tables() -> Iterator[str]:
    default = Config()
    for name, values in to_dict(default).items():
        section = getattr(default, name)
        yield f"\n## {name}\n\n{_title(section)}\n\n"
        yield "| key | default | meaning | allowed |\n|---|---|---|---|\n"
        for key, value in values.items():
            meaning, expected = _about(section, key)
            shown = "" if value in ("", {}, []) else f"`{value}`"
            yield f"| `{name}.{key}` | {shown} | {meaning} | {expected} |\n"


def _title(section: Any) -> str:
    """The first line of the section's docstring, as far as it speaks to users."""
    line = str(type(section).__doc__).splitlines()[0]
    return line.split(":")[0].rstrip(".") + "."


def _about(section: Any, key: str) -> tuple[str, str]:
    """What a key means, and what it may be."""
    metadata = next(f.metadata for f in fields(section) if f.name == key)
    if "read" in metadata:
        return metadata["help"], metadata["read"].expected
    return metadata["help"], PARAMETERS[key].expected


def _comment(text: str) -> str:
    return (
        "\n".join(textwrap.wrap(text, 98, initial_indent="  # ", subsequent_indent="  # ")) + "\n"
    )


def _dumped(entry: dict[str, object]) -> str:
    text: str = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=1000)
    return text


def main() -> None:
    """Write both files into the checkout that this module belongs to."""
    root = Path(__file__).resolve().parents[1]
    (root / "config.yaml").write_text(commented_yaml(Config()), encoding="utf-8")
    (root / "docs" / "configuration.md").write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
