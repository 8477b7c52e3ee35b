"""The panic sequence."""

from __future__ import annotations

from rwkv_music_daemon.silence import ends_sound, panic_messages


def test_notes_then_pedal_then_all_notes_then_all_sound() -> None:
    assert panic_messages([(0, 60), (0, 64)], channels=[0]) == (
        b"\x80\x3c\x00",
        b"\x80\x40\x00",
        b"\xb0\x40\x00",
        b"\xb0\x7b\x00",
        b"\xb0\x78\x00",
    )


def test_no_channel_is_released_after_its_sound_is_off() -> None:
    messages = panic_messages([(9, 38)])
    assert messages[0] == b"\x89\x26\x00"
    assert [m[1] for m in messages[1:]] == [64] * 16 + [123] * 16 + [120] * 16
    assert {m[0] & 15 for m in messages[1:]} == set(range(16))


def test_unknown_means_every_pitch() -> None:
    offs = [m for m in panic_messages(None, channels=[0, 3, 0]) if m[0] & 0xF0 == 0x80]
    assert len(offs) == len(set(offs)) == 2 * 128


def test_unknown_means_that_what_ends_most_comes_first() -> None:
    messages = panic_messages(None)
    controllers = panic_messages(())
    assert messages[: len(controllers)] == messages[-len(controllers) :] == controllers


def test_what_ends_a_sound_is_told_from_what_does_not() -> None:
    assert all(map(ends_sound, panic_messages(None)))
    assert ends_sound(b"\x93\x3c\x00")  # a note-on of no velocity is a note-off
    assert ends_sound(b"\xb0\x40\x3f")
    for other in (b"\x93\x3c\x01", b"\xb0\x40\x40", b"\xb0\x07\x00", b"\xe0\x00\x00", b"\xb0\x40"):
        assert not ends_sound(other)
