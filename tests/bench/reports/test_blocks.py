"""The pages of the project: what they quote is what the results hold, and what they show runs."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from bench.reports import blocks
from bench.reports.blocks import BLOCKS, PAGES, ROOT, filled, main

TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
COMMANDS = ("bench.run", "bench.learn", "bench.zoo", "models.train", "models.twin")


def test_no_page_quotes_anything_else_than_the_results_hold(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().err
    quoted = {name for text in TEXTS.values() for name in re.findall(r"<!-- end of (.*) -->", text)}
    assert quoted == set(BLOCKS)


def test_a_figure_that_was_changed_by_hand_is_told_and_written_anew(monkeypatch, tmp_path, capsys):
    page = TEXTS["README.md"]
    wrong = page.replace("| accuracy % | 9", "| accuracy % | 1", 1)
    assert wrong != page
    (tmp_path / "README.md").write_text(wrong, encoding="utf-8")
    monkeypatch.setattr(blocks, "ROOT", tmp_path)
    monkeypatch.setattr(blocks, "PAGES", ("README.md",))
    assert main(["--check"]) == 1
    assert "README.md quotes something else" in capsys.readouterr().err
    assert main([]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page
    assert main(["--verify"]) == 2


def test_a_block_that_is_unknown_or_has_no_end_is_named():
    with pytest.raises(ValueError, match=r"PAGE: block 'weather' is unknown, blocks are digits, devices"):
        filled("<!-- weather -->\n<!-- end of weather -->\n", "PAGE")
    with pytest.raises(ValueError, match="PAGE: block 'digits' has no <!-- end of digits -->"):
        filled("<!-- digits -->\nand so on\n", "PAGE")


def test_the_first_page_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page in PAGES for code in re.findall(r"```python\n(.*?)```", TEXTS[page], re.S)]
)
def test_python_on_a_page_runs(page, code, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, page, "exec"), {})
    assert capsys.readouterr().out


def test_options_on_the_pages_are_those_of_the_command_lines(monkeypatch, capsys):
    text = "\n".join(TEXTS.values())
    for name in COMMANDS:
        module = import_module(name if name in ("bench.run", "bench.learn") else f"{name}.__main__")
        monkeypatch.setattr("sys.argv", [name, "--help"])
        with pytest.raises(SystemExit):
            module.main()
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        calls = re.findall(rf"{re.escape(name)} ([^#`]*?)(?:\n\n|`|#|\n    |$)", text)
        assert calls, name
        for option in re.findall(r"--[a-z-]+", " ".join(calls)):
            shown = option if option in known else option.replace("--", "--no-", 1)
            assert shown in known, (name, option)


def test_links_on_the_pages_lead_somewhere():
    for page, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
            if not target.startswith("http"):
                assert (ROOT / page).parent.joinpath(target).exists(), (page, target)
