"""Tables as Markdown, and a page that keeps them between its own words."""

import pytest

pytest.importorskip("pyarrow", reason="training needs pyarrow: pip install .[train]")

from rwkv_music_train.report import Table, put_into, text_of

TABLE = Table("What it is.", ("", "nats"), [("the model", "1.0370"), ("x", "2")])


def test_a_table_is_aligned():
    assert TABLE.markdown().splitlines() == [
        "What it is.",
        "",
        "|           | nats   |",
        "| --------- | ------ |",
        "| the model | 1.0370 |",
        "| x         | 2      |",
    ]
    assert text_of([TABLE, TABLE]).count("What it is.") == 2


def test_a_section_takes_the_place_of_the_one_before_and_of_nothing_else(tmp_path):
    page = tmp_path / "new" / "card.md"
    put_into(page, "a", "first")
    page.write_text("Words.\n\n" + page.read_text() + "\nMore words.\n")
    put_into(page, "b", "second")
    put_into(page, "a", r"third \1")
    text = page.read_text()
    assert text.startswith("Words.")
    assert "More words." in text
    assert "first" not in text
    assert r"third \1" in text
    assert text.index("third") < text.index("More words.") < text.index("second")
