"""The order of what goes out, and the ledger's promise: every note-on gets its note-off."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from rwkv_music_daemon.scheduler import PLAYER, Event, Pass, Release, Scheduler, Strike

PEDAL_DOWN = bytes((0xB2, 64, 100))


def sent(scheduler: Scheduler, now_ns: int) -> list[bytes]:
    return [message for messages, _, _ in scheduler.due(now_ns) for message in messages]


def loaded(*events: Event) -> Scheduler:
    scheduler = Scheduler()
    for event in events:
        scheduler.put(event)
    return scheduler


def test_nothing_goes_out_before_its_time() -> None:
    scheduler = loaded(Strike(20, 1, 0, 60, 80), Strike(10, 2, 0, 62, 80))
    assert scheduler.next_ns == 10
    assert sent(scheduler, 9) == []
    assert sent(scheduler, 10) == [bytes((0x90, 62, 80))]
    assert scheduler.next_ns == 20
    assert sent(scheduler, 1000) == [bytes((0x90, 60, 80))]
    assert scheduler.next_ns is None


def test_note_offs_go_before_note_ons_of_the_same_time() -> None:
    scheduler = loaded(
        Strike(5, 1, 0, 60, 80),
        Strike(10, 2, 0, 60, 81),
        Pass(10, PEDAL_DOWN),
        Release(10, 1, 0, 60),
    )
    assert sent(scheduler, 10) == [
        bytes((0x90, 60, 80)),
        bytes((0x80, 60, 0)),
        bytes((0x90, 60, 81)),
        PEDAL_DOWN,
    ]


def test_first_come_first_served_at_the_same_time() -> None:
    scheduler = loaded(*(Strike(7, n, 0, 90 - n, 80) for n in range(20)))
    assert [message[1] for message in sent(scheduler, 7)] == [90 - n for n in range(20)]


def test_a_key_that_is_struck_and_let_go_at_one_moment_does_not_hang() -> None:
    scheduler = loaded(Strike(10, PLAYER, 0, 60, 80), Release(10, PLAYER, 0, 60))
    assert sent(scheduler, 10) == [bytes((0x90, 60, 80)), bytes((0x80, 60, 0))]
    assert not scheduler.sounding


def test_a_pitch_struck_while_it_sounds_gets_its_note_off_and_names_the_cut_owner() -> None:
    scheduler = loaded(Strike(1, 1, 3, 60, 80), Strike(2, 2, 3, 60, 90))
    gone = list(scheduler.due(2))
    assert [cut for _, _, cut in gone] == [None, 1]
    assert gone[1][0] == [bytes((0x83, 60, 0)), bytes((0x93, 60, 90))]
    assert scheduler.sounding == {(3, 60): 2}


def test_the_note_off_of_a_note_that_was_cut_does_not_end_its_successor() -> None:
    scheduler = loaded(
        Strike(1, 1, 0, 60, 80), Strike(2, 2, 0, 60, 90), Release(3, 1, 0, 60), Release(9, 2, 0, 60)
    )
    assert len(sent(scheduler, 3)) == 3
    assert scheduler.sounding == {(0, 60): 2}
    assert sent(scheduler, 9) == [bytes((0x80, 60, 0))]
    assert scheduler.sounding == {}


def test_the_same_pitch_on_two_channels_is_two_notes() -> None:
    scheduler = loaded(Strike(1, 1, 0, 60, 80), Strike(1, 2, 5, 60, 80), Release(2, 1, 0, 60))
    sent(scheduler, 2)
    assert scheduler.sounding == {(5, 60): 2}


def test_stopping_some_owners_leaves_the_others() -> None:
    scheduler = loaded(
        Strike(1, 1, 0, 60, 80),
        Strike(1, 2, 0, 64, 80),
        Strike(50, 1, 0, 67, 80),
        Pass(1, PEDAL_DOWN),
    )
    sent(scheduler, 1)
    scheduler.drop({1})
    assert scheduler.release({1}) == [bytes((0x80, 60, 0))]
    assert scheduler.sounding == {(0, 64): 2}
    assert sent(scheduler, 100) == []


def test_stopping_all_lifts_the_pedals_after_the_keys() -> None:
    """A pedal up that went before would keep its place behind notes that still wait for their time
    in the MIDI system; a note-off takes those away."""
    scheduler = loaded(
        Pass(1, PEDAL_DOWN),
        Pass(1, bytes((0xB0, 64, 127))),
        Pass(2, bytes((0xB0, 64, 63))),
        Strike(2, PLAYER, 2, 60, 80),
    )
    sent(scheduler, 2)
    assert scheduler.release() == [bytes((0x82, 60, 0)), bytes((0xB2, 64, 0))]
    assert scheduler.release() == []


def test_other_controllers_are_not_taken_for_the_pedal() -> None:
    scheduler = loaded(Pass(1, bytes((0xB0, 65, 127))), Pass(1, bytes((0xE0, 64, 127))))
    assert len(sent(scheduler, 1)) == 2
    assert scheduler.release() == []


@given(st.randoms(use_true_random=False), st.integers(1, 60))
def test_every_note_on_gets_its_note_off_whatever_happens(random: Random, events: int) -> None:
    scheduler, now_ns, owner = Scheduler(), 0, 0
    messages: list[bytes] = []
    for _ in range(events):
        now_ns += random.randint(0, 5)
        match random.randrange(6):
            case 0 | 1 | 2:
                owner += 1
                channel, pitch = random.randint(0, 1), random.randint(60, 63)
                start_ns = now_ns + random.randint(-3, 9)
                scheduler.put(Strike(start_ns, owner, channel, pitch, 80))
                scheduler.put(Release(start_ns + random.randint(1, 9), owner, channel, pitch))
            case 3:
                messages += sent(scheduler, now_ns)
            case 4:
                owners = {random.randint(1, owner + 1) for _ in range(3)}
                scheduler.drop(owners)
                messages += scheduler.release(owners)
            case 5:
                scheduler.drop()
                messages += scheduler.release()
    messages += sent(scheduler, now_ns + 100)
    sounding: set[tuple[int, int]] = set()
    for message in messages:
        key = message[0] & 0x0F, message[1]
        if message[0] & 0xF0 == 0x90:
            assert key not in sounding  # struck again: its note-off had to come first
            sounding.add(key)
        else:
            assert key in sounding  # a note-off that nobody needs would cut the player's note
            sounding.discard(key)
    assert sounding == set()
    assert scheduler.sounding == {}
