"""Makes rwkv_music/tokenizer/vocabulary.json: miditok's REMI tokens, then our own.

Run once a vocabulary format: `python -m rwkv_music_train.vocabulary > vocabulary.json`.
"""

from __future__ import annotations

import json

from miditok import REMI, TokenizerConfig

from rwkv_music.music import HIGHEST_PITCH, LONGEST_STEPS, LOWEST_PITCH, METERS, STEPS_PER_BEAT
from rwkv_music.tokenizer.vocabulary import FORMAT, TEMPO_COUNT, tempo_of_class, vocabulary_hash

RESERVED = 64


def remi() -> REMI:
    """miditok's REMI with this project's grid, pitches, velocities and meters; no tempo."""
    meters: dict[int, list[int]] = {}
    for meter in METERS:
        meters.setdefault(meter.denominator, []).append(meter.numerator)
    return REMI(
        TokenizerConfig(
            pitch_range=(LOWEST_PITCH, HIGHEST_PITCH),
            beat_res={(0, LONGEST_STEPS // STEPS_PER_BEAT): STEPS_PER_BEAT},
            num_velocities=32,
            special_tokens=["PAD", "BOS", "EOS"],
            use_time_signatures=True,
            time_signature_range=meters,
            use_pitchdrum_tokens=False,
        )
    )


def tokens() -> list[str]:
    """All tokens in the order of their ids."""
    made = list(remi().vocab)
    longest_bar = max(meter.steps for meter in METERS)
    by_kind = {
        kind: [token for token in made if token.split("_")[0] == kind]
        for kind in ("PAD", "BOS", "EOS", "Bar", "Pitch", "Velocity", "Duration", "Position")
    }
    # miditok counts a beat as the meter's denominator; we count quarters, so 12/8 needs fewer.
    by_kind["Position"] = by_kind["Position"][:longest_bar]
    return [
        *(token for kind in by_kind.values() for token in kind),
        *(f"TimeSig_{meter}" for meter in METERS),
        *(f"Tempo_{tempo_of_class(i):.2f}" for i in range(TEMPO_COUNT)),
        "Pedal_Off",
        "Pedal_On",
        *(f"Reserved_{i}" for i in range(RESERVED)),
    ]


if __name__ == "__main__":
    made = tokens()
    print(json.dumps({"format": FORMAT, "hash": vocabulary_hash(made), "tokens": made}, indent=0))
