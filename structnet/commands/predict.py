"""predict: what a run says of a user's files."""

import json
import sys
from pathlib import Path

from structnet.words import take_flag, take_options, whole


def predict(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    options = take_options(words, required=("run", "path"), optional=("top",))
    top = whole(options.get("top", "20"), "top")
    from structnet.config import saved
    from structnet.predict import predict
    from structnet.run import Run

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    net = run.load_net()
    found = predict(run, net, Path(options["path"]))
    if not found:
        task = run.config["task"]["name"]
        print(f"structnet: nothing in {options['path']} for task {task!r}", file=sys.stderr)
    if as_json:
        print(json.dumps([one.as_dict() for one in found[:top]], indent=1))
        return 0
    for one in found[:top]:
        verdict = f"{one.probability:.3f}" if run.task.wanted else one.verdict
        print(f"{one} ({verdict})")
    if len(found) > top:
        print(f"... {len(found) - top} more; top=N shows N", file=sys.stderr)
    return 0
