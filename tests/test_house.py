"""The sources keep to the house: who may import whom, and how long signatures, functions and files may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("models", "hw", "mapping", "bench")
FORBIDDEN = {
    "models": ("hw", "mapping", "bench"),
    "hw": ("models", "mapping", "bench"),
    "mapping": ("bench",),
    "bench/machines": ("bench.studies", "bench.reports", "bench.zoo", "bench.speed"),
}
"""What a folder must not import."""
TABLES = ("hw/crossbar/devices/presets.py",)
"""Data with a source per line: they may be long."""
MOST_PARAMETERS, MOST_LINES_OF_FUNCTION, MOST_LINES_OF_FILE = 8, 60, 400

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """All Python files below these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def place(path: Path, line: int) -> str:
    """As an editor opens it."""
    return f"{path.relative_to(ROOT)}:{line}"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports, wherever in it."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def functions(path: Path) -> list[Function]:
    """Functions and methods of a file, inner ones too."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, Function)]


def parameter_count(function: Function) -> int:
    """Parameters of a signature, *args and **kwargs too; self and cls are not counted."""
    arguments = function.args
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
    starred = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return len(names) - (names[:1] in (["self"], ["cls"])) + len(arguments.kwonlyargs) + len(starred)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_point_from_bench_to_mapping_to_models_and_hw(folder: str) -> None:
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in sources(folder)
        for line, name in imports(path)
        for forbidden in FORBIDDEN[folder]
        if name == forbidden or name.startswith(f"{forbidden}.")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_signature_has_more_than_eight_parameters() -> None:
    long = [
        f"{place(path, function.lineno)} {function.name}: {parameter_count(function)} parameters"
        for path in sources(*PARTS, "tests")
        for function in functions(path)
        if parameter_count(function) > MOST_PARAMETERS
    ]
    assert not long, "\n".join(long)


def test_no_function_is_longer_than_sixty_lines() -> None:
    long = [
        f"{place(path, function.lineno)} {function.name}: {lines} lines"
        for path in sources(*PARTS, "tests")
        for function in functions(path)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > MOST_LINES_OF_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in sources(*PARTS, "tests")
        if path.relative_to(ROOT).as_posix() not in TABLES
        and (lines := len(path.read_text().splitlines())) > MOST_LINES_OF_FILE
    ]
    assert not long, "\n".join(long)


def in_the_letters_of_a_locale(path: Path) -> list[int]:
    """Lines at which a file opens text without saying in which encoding."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        modes = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        opens = node.func.attr == "open" and any(mode in ("r", "w", "a", "x", "r+", "w+", "a+") for mode in modes)
        if (opens or node.func.attr in ("read_text", "write_text")) and not any(
            word.arg == "encoding" for word in node.keywords
        ):
            lines.append(node.lineno)
    return lines


def test_text_is_read_and_written_as_utf_8_whatever_the_locale() -> None:
    wrong = [place(path, line) for path in sources(*PARTS) for line in in_the_letters_of_a_locale(path)]
    assert not wrong, "\n".join(wrong)


def test_the_rules_see_what_breaks_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "bench" / "machines" / "wrong.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "class A:\n    def f(self, a, /, b, *c, d, **e):\n        from ..reports import g\n        import bench.zoo\n"
    )
    assert list(imports(file)) == [(3, "bench.reports.g"), (4, "bench.zoo")]
    assert [parameter_count(function) for function in functions(file)] == [5]
    file.write_text('a.read_text()\na.open("w")\na.open("w", encoding="utf-8")\na.open("rb")\n')
    assert in_the_letters_of_a_locale(file) == [1, 2]
