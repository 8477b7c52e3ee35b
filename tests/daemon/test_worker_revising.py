"""Parameters that change while a take is proposed: what is beyond is made and told again."""

from __future__ import annotations

from dataclasses import asdict

from rwkv_music_daemon.messages import Allow, Generated, Proposed, Replay, Revise
from rwkv_music_daemon.parameters import Generation
from worker_talk import FAR, Talk, generate


def revise(edition: int, bar: int, step: int, request: int = 1) -> Revise:
    return Revise(request, edition, bar, step, False, asdict(Generation()))


def test_what_was_made_beyond_a_revision_is_made_and_told_again() -> None:
    talk = Talk()
    talk.say(generate(bars=2))
    talk.work()
    assert len(talk.proposed()) == 8
    talk.say(revise(1, 0, 30))
    talk.work()
    again = talk.of(Proposed)[8:]
    assert [(a.bar, a.note[0], a.edition) for a in again] == [
        (0, 36, 1),
        *((1, onset, 1) for onset in (0, 12, 24, 36)),
    ]
    assert [(a.notes, a.edition) for a in talk.of(Generated)] == [(8, 0), (8, 1)]


def test_what_was_made_before_a_revision_and_not_told_is_told_once() -> None:
    talk = Talk()
    talk.say(generate(bars=1, until=(0, 13)))
    for _ in range(3):
        talk.worker.work()
    told = len(talk.proposed())
    talk.say(revise(1, 0, 24), Allow(1, FAR))
    talk.work()
    assert told < 4
    assert talk.proposed() == [(1, 0, onset) for onset in (0, 12, 24, 36)]


def test_a_revision_of_another_request_changes_nothing() -> None:
    talk = Talk()
    talk.say(generate(1))
    talk.work()
    talk.say(revise(1, 0, 12, request=2))
    talk.work()
    assert len(talk.proposed()) == 8


def test_what_plays_is_made_as_far_as_it_may_go_before_the_take_that_follows_is_revised() -> None:
    talk = Talk()
    talk.say(generate(bars=3, seeds=(1, 2), until=(0, 13)))
    talk.work()
    talk.say(Allow(1, (1, 0)), Replay(2, 1, (0, 13)), revise(1, 0, 24, request=2))
    talk.work()
    assert [place for request, *place in talk.proposed() if request == 1] == [
        [0, onset] for onset in (0, 12, 24, 36)
    ]
    talk.say(Allow(2, FAR))
    talk.work()
    assert len([request for request, *_ in talk.proposed() if request == 2]) == 12


def test_a_take_that_is_played_again_can_be_revised() -> None:
    talk = Talk()
    talk.say(generate(seeds=(1, 2)))
    talk.work()
    talk.say(Replay(2, 1, FAR))
    talk.work()
    talk.say(revise(1, 1, 24, request=2))
    talk.work()
    assert talk.proposed()[16:] == [(2, 1, 24), (2, 1, 36)]
    complete = [(a.request, a.take, a.notes, a.edition) for a in talk.of(Generated)]
    assert complete[-3:] == [(1, 0, 8, 1), (1, 1, 8, 1), (2, 1, 8, 1)]
