"""For all tests: the user's own configuration and data are neither read nor written.

Properties have no deadline, since a busy machine is no bug. In CI they are tried on the same
examples every time; a developer's run looks further.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "ours", deadline=None, derandomize=os.environ.get("RWKV_MUSIC_REAL") == "1"
)
hypothesis.settings.load_profile("ours")


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("XDG_CONFIG_HOME", str(home / "config"))
        environ.setenv("XDG_DATA_HOME", str(home / "data"))
        yield
