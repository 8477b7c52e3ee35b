"""Hosts on a stage with the service, and both gone after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bridge_service import BridgeService, Composer
from live_surface import TICK_NS, Stage
from reaper_bridge import Reaper


@pytest.fixture
def composer() -> Composer:
    return Composer()


@pytest.fixture
def stage(tmp_path: Path, composer: Composer) -> Iterator[Stage]:
    stage = Stage(tmp_path, BridgeService(composer))
    yield stage
    stage.close()


@pytest.fixture
def connected(stage: Stage) -> Stage:
    stage.run(3 * TICK_NS)
    assert stage.host.shown == ["RWKV Music: connected"]
    stage.host.shown.clear()
    return stage


@pytest.fixture
def make_reaper(tmp_path: Path) -> Iterator[Callable[[BridgeService | None], Reaper]]:
    services: list[BridgeService] = []

    def reaper(service: BridgeService | None) -> Reaper:
        if service is not None:
            services.append(service.serve())
        return Reaper(tmp_path, service)

    yield reaper
    for service in services:
        service.close()
