"""The commands of a page, run in a shell as a reader types them."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def commands_of(page):
    """What a page shows in blocks of bash, in their order."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", (ROOT / page).read_text(), re.M | re.S))


def run_page(page, folder, timeout_s=600):
    """The output of a page's commands, run in a folder; it stops at the first that fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands_of(page)],
        cwd=folder, env={**os.environ, "PATH": path}, timeout=timeout_s,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
