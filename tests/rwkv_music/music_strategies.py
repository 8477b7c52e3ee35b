"""Hypothesis strategies for music: canonical bars, rough bars, phrases."""

from __future__ import annotations

from hypothesis import strategies as st

from rwkv_music.music import (
    HIGHEST_PITCH,
    LONGEST_STEPS,
    LOWEST_PITCH,
    METERS,
    Bar,
    Meter,
    Note,
    Phrase,
    canonical,
)
from rwkv_music.tokenizer import load_vocabulary
from rwkv_music.tokenizer.vocabulary import TEMPO_COUNT, tempo_of_class

meters = st.sampled_from(METERS)
tempos = st.integers(0, TEMPO_COUNT - 1).map(tempo_of_class)
velocity_classes = st.sampled_from(load_vocabulary().velocities)


@st.composite
def rough_notes(draw: st.DrawFn, meter: Meter, most: int = 12) -> list[Note]:
    """Notes of a bar in any order, with doubles, any velocity."""
    note = st.builds(
        Note,
        st.integers(0, meter.steps - 1),
        st.integers(LOWEST_PITCH, HIGHEST_PITCH),
        st.integers(1, 127),
        st.integers(1, LONGEST_STEPS),
    )
    return draw(st.lists(note, max_size=most))


@st.composite
def canonical_bars(draw: st.DrawFn, of_meter: st.SearchStrategy[Meter] = meters) -> Bar:
    """Bars that their tokens say exactly: canonical notes, centres of classes."""
    meter = draw(of_meter)
    notes = [
        Note(note.onset, note.pitch, draw(velocity_classes), note.duration)
        for note in draw(rough_notes(meter))
    ]
    return Bar(meter, draw(tempos), canonical(notes))


def phrases(
    most: int = 5, of_meter: st.SearchStrategy[Meter] = meters
) -> st.SearchStrategy[Phrase]:
    return st.lists(canonical_bars(of_meter), max_size=most).map(tuple)
