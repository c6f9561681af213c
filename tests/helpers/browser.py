"""A page in headless Chromium: what it says on the console, and what stands in it after something was done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "chromium is missing (apt-get install chromium)"
DO = """<script type="module">
const until = async (met) => { while (!met()) await new Promise((go) => setTimeout(go, 30)); };
const all = (query) => [...document.querySelectorAll(query)];
await until(() => document.body.dataset.ready === "yes");
const found = {};
%s
const told = document.createElement("pre");
told.id = "found";
told.textContent = JSON.stringify(found);
document.body.append(told);
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    console: list[str]
    found: dict[str, Any]


def opened(page: Path, script: str, folder: Path, width: int = 1000) -> Seen:
    """Open a page without a network and run a module script in it, which fills `found`."""
    assert CHROMIUM is not None
    file = folder / "opened.html"
    text = page.read_text(encoding="utf-8")
    body, end, rest = text.rpartition("</body>")  # the last one: scripts that draw pages have others in them
    file.write_text(body + DO.replace("%s", script) + end + rest, encoding="utf-8")
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={width},1200",
        f"--user-data-dir={folder}/chromium",
    ]
    options += ["--virtual-time-budget=60000", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"]
    done = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    shutil.rmtree(folder / "chromium", ignore_errors=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    told = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told, (console, done.stdout[-500:])
    return Seen(console, json.loads(told.group(1).replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")))
