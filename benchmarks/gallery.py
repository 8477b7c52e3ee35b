"""Twelve beginnings and what a model makes of them, as MIDI, as pictures and on a page.

    python -m benchmarks.gallery [--model PATH] [--out docs/gallery] [--bars 8] [--seed 0]

The page says with which model, settings and seed; every prompt gets the same seed and one try, so
nothing is chosen. Beside each picture: notes a bar of the prompt and of its continuation, and
the share of the continuation's notes in the key that the prompt seems to be in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rwkv_music.completion import continue_phrase
from rwkv_music.keys import key_classes
from rwkv_music.midi_files import write_voices
from rwkv_music.model import load_model
from rwkv_music.music import Phrase
from rwkv_music.pianoroll import draw_piano_roll
from rwkv_music.sampling import Sampling

from .prompts import PROMPTS, Prompt


def figures(heard: Phrase, made: Phrase) -> str:
    """One line about a continuation."""
    notes = [note for bar in made for note in bar.notes]
    classes = key_classes(note for bar in heard for note in bar.notes)
    inside = sum(note.pitch % 12 in classes for note in notes) / max(len(notes), 1)
    before = sum(len(bar.notes) for bar in heard) / len(heard)
    return (
        f"{before:.1f} notes a bar, then {len(notes) / len(made):.1f};"
        f" {100 * inside:.0f} % of them in the prompt's key"
    )


def page(model: str, sampling: Sampling, bars: int, seed: int, made: dict[str, str]) -> str:
    """docs/gallery/README.md: `made` holds the figures of each prompt by name."""
    lines = [
        "# Gallery",
        "",
        f"Twelve beginnings of eight bars, written for this page"
        f" ([benchmarks/prompts.py](../../benchmarks/prompts.py)), and what the model `{model}`"
        f" made of each: {bars} bars, temperature {sampling.temperature:g},"
        f" top-p {sampling.top_p:g}, seed {seed}. One try each; nothing was chosen."
        " `python -m benchmarks.gallery` makes the page again.",
    ]
    manner = ""
    for prompt in PROMPTS:
        if prompt.manner != manner:
            manner = prompt.manner
            lines += ["", f"## {manner.capitalize()}"]
        lines += [
            "",
            f"**[{prompt.title}]({prompt.name}.mid)**: {prompt.meter},"
            f" {prompt.tempo_bpm:g} BPM; {made[prompt.name]}",
            "",
            f"![{prompt.title}]({prompt.name}.png)",
        ]
    return "\n".join(lines) + "\n"


def keep(prompt: Prompt, heard: Phrase, made: Phrase, folder: Path) -> None:
    """The prompt and its continuation as .mid and .png."""
    silent = tuple(type(bar)(bar.meter, bar.tempo_bpm) for bar in heard)
    voices = {"prompt": heard, "continuation": silent + made}
    write_voices(voices, folder / f"{prompt.name}.mid")
    draw_piano_roll(voices, folder / f"{prompt.name}.png", prompt.title)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="", help="weights; without: those of the package")
    parser.add_argument("--out", type=Path, default=Path("docs/gallery"))
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_model(options.model)
    sampling = Sampling()
    options.out.mkdir(parents=True, exist_ok=True)
    made = {}
    for prompt in PROMPTS:
        heard = prompt.played()
        continuation = continue_phrase(model, heard, options.bars, sampling, options.seed)
        keep(prompt, heard, continuation, options.out)
        made[prompt.name] = figures(heard, continuation)
        print(f"{prompt.name}: {made[prompt.name]}", flush=True)
    text = page(model.name, sampling, options.bars, options.seed, made)
    (options.out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
