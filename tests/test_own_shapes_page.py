"""The shell of docs/own-trees-graphs.md, run as it stands there."""

import pytest
from pages import run_page


@pytest.mark.slow
def test_a_page_of_shell_trains_and_predicts(tmp_path):
    said = run_page("docs/own-trees-graphs.md", tmp_path)
    assert "new.jsonl:1: 4 nodes (" in said and "new.json:1: 2 nodes (" in said
    assert said.count("boosted trees") == 3
