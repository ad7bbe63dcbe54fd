"""serve: answer requests for predictions of a run's net, over HTTP."""

from dataclasses import fields
from typing import Any

from structnet.system.words import take_options, whole

OPTIONS = ("port", "host", "batching", "threads", "drain_s")


def run(words: list[str]) -> int:
    from structnet.config.composing import override, saved

    data = [word for word in words if word.startswith("task.")]
    serving = _import()
    limits = [field.name for field in fields(serving.Limits)]
    options = take_options(
        [word for word in words if word not in data],
        required=("run",),
        optional=(*OPTIONS, *limits),
        also=("task.root",),
    )
    given = {name: whole(options[name], name, 0 if name == "wait_ms" else 1)
             for name in limits if name in options}  # fmt: skip
    port = whole(options.get("port", "8000"), "port", 0)
    if port > 65535:
        raise ValueError(f"port is from 0 to 65535, got {port}")
    drain_s = whole(options.get("drain_s", "30"), "drain_s")
    threads = whole(options.get("threads", "1"), "threads")
    batching = _batching(options.get("batching", "window"))
    config = saved(options["run"])
    if data:
        config = override(config, data, "task")
    _serve(config, options, batching, serving.Limits(**given), (port, drain_s, threads))
    return 0


def _serve(
    config: Any, options: dict[str, str], batching: str, limits: Any, given: tuple[int, int, int]
) -> None:
    from pathlib import Path

    import torch

    from structnet.run.run import Run
    from structnet.serving.server import listen, serve
    from structnet.serving.service import Service

    port, drain_s, threads = given
    torch.set_num_threads(threads)
    host = options.get("host", "127.0.0.1")
    run = Run.compose(config, Path(options["run"]))
    service = Service(run, batching, limits)
    with listen(host, port) as sock:
        port = sock.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        print(f"{options['run']}: task {run.config['task']['name']}, {' and '.join(run.parts)}")
        if service.why is not None:
            print(f"batching: {service.batching}, not {batching}, as {service.why}")
        else:
            print(f"batching: {service.batching}")
        if service.no_stream is not None:
            print(f"no /stream: {service.no_stream}")
        print(f"listening on http://{shown}:{port}, its page is /docs", flush=True)
        serve(service, sock, drain_s)


def _batching(name: str) -> str:
    from structnet.registry.suggest import did_you_mean
    from structnet.serving.methods import METHODS

    if name not in METHODS:
        raise ValueError(f"no batching {name!r} {did_you_mean(name, METHODS)}")
    return name


def _import() -> Any:
    """The module with `Limits`; ModuleNotFoundError says what to install."""
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"serving needs {error.name}, which is not installed: pip install -e '.[serve]', or "
            "install structnet with its extra 'serve'"
        ) from error
    from structnet.serving import service

    return service
