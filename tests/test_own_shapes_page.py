"""The shell of docs/own-trees-graphs.md, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "own-trees-graphs.md"
SHELL = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.mark.parametrize(
    ("script", "said"),
    list(zip(SHELL, ("new.jsonl:1: 4 nodes (", "new.json:1: 2 nodes ("), strict=True)),
    ids=["trees", "graphs"],
)
def test_a_page_of_shell_trains_and_predicts(tmp_path, script, said):
    # No workers to start; commands are those of this Python.
    script = script.replace("trainer.max_epochs=3", "trainer.max_epochs=1 trainer.num_workers=0")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout, done.stdout
    assert "boosted trees" in done.stdout
