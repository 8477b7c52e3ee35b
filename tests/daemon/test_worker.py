"""The model's side of the conversation: bars in, notes out, and never further than allowed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.messages import (
    Allow,
    Cancel,
    Failed,
    Forget,
    Generated,
    Header,
    Hear,
    HeardTuple,
    Message,
    Replay,
)
from worker_talk import FAR, Talk, generate, hear

from rwkv_music.errors import TokenError
from rwkv_music.model.protocol import BarRequest
from rwkv_music.model.scripted import ScriptedModel, ScriptedProposal, ScriptedState
from rwkv_music.music import Meter, Note
from rwkv_music.session import HeardNote, Session

NOTE: HeardTuple = (0, 60, 80, 12, False)


def fresh(*bars: Hear) -> ScriptedState:
    """The state of a session that is told these bars once."""
    session = Session(ScriptedModel())
    for message in bars:
        notes = [HeardNote(Note(*values), held) for *values, held in message.notes]
        meter = Meter.parse(message.meter)
        session.hear(message.bar, meter, message.tempo_bpm, notes, closed=message.closed)
    return session.fork()


def test_a_completion_note_by_note_and_its_end() -> None:
    talk = Talk()
    talk.say(hear(0, NOTE), generate(request=9))
    assert talk.answers == []  # nothing before it is let work
    talk.work()
    assert talk.proposed() == [(9, bar, onset) for bar in (0, 1) for onset in (0, 12, 24, 36)]
    assert talk.answers[-1] == Generated(9, 0, 2, 8, 5)
    talk.work()
    assert len(talk.of(Generated)) == 1


def test_nothing_beyond_what_is_allowed() -> None:
    talk = Talk()
    talk.say(generate(until=(0, 13)))
    talk.work()
    assert talk.proposed() == [(1, 0, 0), (1, 0, 12)]
    talk.say(Allow(1, (0, 24)))
    talk.work()
    assert len(talk.proposed()) == 2  # a note on the limit is beyond it
    talk.say(Allow(1, (1, 1)))
    talk.work()
    assert talk.proposed()[2:] == [(1, 0, 24), (1, 0, 36), (1, 1, 0)]
    assert talk.of(Generated) == []
    talk.say(Allow(1, FAR))
    talk.work()
    assert len(talk.proposed()) == 8
    assert len(talk.of(Generated)) == 1


def test_the_meter_may_change_on_the_way() -> None:
    talk = Talk()
    talk.say(generate(until=(0, 37)))
    talk.work()
    talk.say(Header(1, 1, "3/4", 90.0), Allow(1, FAR))
    talk.work()
    onsets = [(bar, onset) for _, bar, onset in talk.proposed()]
    assert onsets == [(0, 0), (0, 12), (0, 24), (0, 36), (1, 0), (1, 12), (1, 24)]


def test_a_completion_starts_inside_its_bar_and_after_what_was_heard_there() -> None:
    talk = Talk()
    talk.say(hear(0, NOTE), hear(1, (0, 50, 80, 2, False), closed=False))
    talk.say(generate(bar=1, bars=1, first_step=18))
    talk.work()
    assert [onset for _, _, onset in talk.proposed()] == [24, 36]


def test_a_cancelled_completion_is_silent() -> None:
    talk = Talk()
    talk.say(generate(until=(0, 1)))
    talk.work()
    talk.say(Cancel(8))  # another one
    talk.say(Cancel(1), Allow(1, FAR))
    talk.work()
    assert talk.proposed() == [(1, 0, 0)]


def test_a_bar_that_cannot_be_heard_does_not_end_what_plays() -> None:
    talk = Talk()
    talk.say(generate(until=(0, 1)))
    talk.work()
    talk.say(hear(5, (99, 60, 80, 12, False)), Allow(1, FAR))
    talk.work()
    assert [answer.code for answer in talk.of(Failed)] == [500]
    assert len(talk.proposed()) == 8


def test_what_plays_is_made_to_where_it_may_go_before_what_follows() -> None:
    talk = Talk()
    talk.say(generate(1, until=(0, 1)), Allow(1, (0, 40)), generate(2, bars=1))
    talk.work()
    assert talk.proposed() == [(n, 0, onset) for n in (1, 2) for onset in (0, 12, 24, 36)]
    talk.say(Cancel(2), Allow(1, FAR))  # what was to follow was withdrawn
    talk.work()
    assert talk.proposed()[8:] == [(1, 1, onset) for onset in (0, 12, 24, 36)]


def test_of_more_than_two_requests_the_first_is_over() -> None:
    talk = Talk()
    talk.say(generate(1, until=(0, 1)), generate(2, bars=1), generate(3, bars=1))
    talk.work()
    assert {request for request, *_ in talk.proposed()} == {2, 3}


def test_the_other_takes_of_what_plays_do_not_keep_what_follows_waiting() -> None:
    talk = Talk(Uneven())
    talk.say(generate(1, bars=1, seeds=(1, 2)))
    for _ in range(2):  # the first take is complete, the second is not
        talk.worker.work()
    talk.say(generate(2, bars=1))
    talk.work()
    assert [a.take for a in talk.of(Generated) if a.request == 1] == [0]
    assert [n for n in talk.proposed() if n[0] == 2][:1] == [(2, 0, 0)]


def test_a_request_that_fails_leaves_the_other_alone() -> None:
    talk = Talk()
    talk.say(generate(1, until=(0, 1)), generate(2, meter="4/5"), Allow(1, FAR))
    talk.work()
    assert [answer.request for answer in talk.of(Failed)] == [2]
    assert talk.proposed() == [(1, bar, onset) for bar in (0, 1) for onset in (0, 12, 24, 36)]


def test_the_live_state_does_not_hear_the_completion_but_what_io_tells() -> None:
    talk = Talk()
    talk.say(hear(0, NOTE), generate())
    talk.work()
    assert talk.worker.session.fork() == fresh(hear(0, NOTE))
    talk.say(hear(1, (0, 60, 79, 11, False)))
    assert talk.worker.session.fork() == fresh(hear(0, NOTE), hear(1, (0, 60, 79, 11, False)))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 47), st.integers(40, 70), st.booleans()),
        max_size=20,
    ),
    st.data(),
)
def test_in_whatever_portions_bars_are_told(
    strikes: list[tuple[int, int, int, bool]], data: st.DataObject
) -> None:
    known: dict[int, list[HeardTuple]] = {}
    messages: list[Hear] = []
    for bar, onset, pitch, held in sorted(strikes):
        notes = known.setdefault(bar, [])
        notes.append((onset, pitch, 80, 6, held))
        messages.append(hear(bar, *notes, closed=False))
    messages += [hear(bar, *notes) for bar, notes in sorted(known.items())]
    talk = Talk()
    while messages:
        count = data.draw(st.integers(1, len(messages)))
        talk.say(*messages[:count])
        del messages[:count]
    assert talk.answers == []
    assert talk.worker.session.fork() == fresh(*(hear(b, *n) for b, n in sorted(known.items())))


def test_of_several_that_tell_the_same_bar_the_last_counts_but_not_across_a_request() -> None:
    talk = Talk()
    wrong: HeardTuple = (0, 200, 80, 12, False)  # a pitch without a token
    talk.say(hear(0, wrong), hear(0, NOTE))
    assert talk.answers == []  # the first was never read
    talk.say(hear(1, wrong), generate(bar=2), hear(1, NOTE))
    assert [answer.code for answer in talk.of(Failed)] == [500]


def test_many_bars_are_heard_one_at_a_time_so_that_a_slow_engine_is_seen_to_live() -> None:
    talk = Talk()
    bars = [hear(number, NOTE) for number in range(16)]
    talk.worker.tell([*bars, generate(bar=16, bars=1)])
    states = []
    while talk.worker.hear_next():
        states.append(talk.worker.session.fork())
    assert states == [fresh(*bars[: n + 1]) for n in range(16)] + [fresh(*bars)]
    talk.work()
    assert len(talk.proposed()) == 4


def test_forgetting() -> None:
    talk = Talk()
    talk.say(hear(0, NOTE), generate(), Forget())
    talk.work()
    assert talk.proposed() == []
    assert talk.worker.session.fork() == ScriptedState()


class Failing(ScriptedModel):
    """Stops after every two notes."""

    advances = 0

    def advance(self, proposals: Sequence[Any]) -> None:
        self.advances += 1
        if self.advances % 3 == 0:
            raise TokenError("no token is left")
        super().advance(proposals)


def test_a_model_that_fails_is_told_of_and_does_not_end_the_worker() -> None:
    talk = Talk(Failing())
    talk.say(generate(request=4))
    talk.work()
    assert talk.proposed() == [(4, 0, 0), (4, 0, 12)]
    assert talk.answers[-1] == Failed(500, "no token is left", 4)
    talk.say(Allow(4, FAR), hear(0, NOTE), generate(request=5))
    talk.work()
    assert talk.answers[-1] == Failed(500, "no token is left", 5)


@pytest.mark.parametrize(
    "message",
    [
        generate(meter="4/5"),
        Hear(0, "13/16", 120.0, (NOTE,), True),
        Hear(0, "4/4", 120.0, ((99, 60, 80, 12, False),), True),
        Replay(3, 0, FAR),
    ],
)
def test_what_cannot_be_done_is_answered(message: Message) -> None:
    talk = Talk()
    talk.say(message)
    talk.work()
    assert [answer.code for answer in talk.of(Failed)] == [500]
    talk.say(generate(request=6))
    talk.work()
    assert len([a for a in talk.of(Generated) if a.request == 6]) == 1


def test_several_takes_are_made_and_one_is_played() -> None:
    talk = Talk()
    talk.say(generate(seeds=(1, 2, 3)))
    talk.work()
    assert len(talk.proposed()) == 8
    told = talk.of(Generated)
    assert [(t.take, t.seed) for t in told] == [(0, 1), (1, 2), (2, 3)]
    talk.say(Replay(2, 1, FAR))
    talk.work()
    assert talk.proposed()[8:] == [(2, bar, onset) for _, bar, onset in talk.proposed()[:8]]


class Uneven(ScriptedModel):
    """The first take of two has a single note in each bar."""

    begun = 0

    def begin(self, state: ScriptedState, request: BarRequest, rng: Any) -> ScriptedProposal:
        self.begun += 1
        proposal = super().begin(state, request, rng)
        if self.begun % 2:
            del proposal._left[1:]
        return proposal


def test_takes_that_are_longer_than_the_one_that_plays_are_finished_too() -> None:
    talk = Talk(Uneven())
    talk.say(generate(bars=1, seeds=(1, 2), until=(0, 13)))
    talk.work()
    assert talk.proposed() == [(1, 0, 0)]
    talk.say(Allow(1, (0, 25)))
    talk.work()
    assert [answer.take for answer in talk.of(Generated)] == [0]
    talk.say(Replay(2, 0, (0, 25)))  # while the second is still in the making
    talk.work()
    talk.work()
    assert talk.proposed() == [(1, 0, 0), (2, 0, 0)]
    talk.say(Allow(2, FAR))
    talk.work()
    complete = [(a.request, a.take, a.notes) for a in talk.of(Generated)]
    assert complete == [(1, 0, 1), (2, 0, 1), (1, 1, 4)]
    talk.say(Replay(3, 1, FAR))
    talk.work()
    assert talk.proposed()[2:] == [(3, 0, onset) for onset in (0, 12, 24, 36)]
