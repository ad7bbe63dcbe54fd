"""The server's addresses: /predict, /stream, /health and /metrics; FastAPI adds /docs."""

import asyncio
import json
import time
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

import structnet
from structnet.fitting.stream import Spoiled
from structnet.serving.requests import (
    BODY,
    RESPONSES,
    NotAccepted,
    parse,
    read_body,
    refuse_endless,
    refused,
)
from structnet.serving.service import Service, TooLarge
from structnet.serving.sessions import Session
from structnet.serving.work import Full, Refused

# Of a websocket that is closed: the policy, an end in good order, a server without room.
POLICY, GONE, AGAIN = 1008, 1001, 1013
RETRY_S = 5


def make_app(service: Service) -> FastAPI:
    """The application that answers requests by a service."""
    run = service.run
    task = run.config["task"]["name"]
    app = FastAPI(
        title="structnet",
        version=structnet.__version__,
        description=f"Predictions of {run.directory.name}: task {task}, "
        f"{' and '.join(run.parts)}, batching {service.batching}.",
    )

    @app.post(
        "/predict",
        summary="Predictions for one record, or for a list of records",
        openapi_extra={"requestBody": BODY},
        responses=RESPONSES,
    )
    async def predict(request: Request) -> Response:
        began = time.perf_counter()
        response = await _predict(service, request)
        service.metrics.requests.labels(str(response.status_code)).inc()
        if response.status_code == 200:
            service.metrics.seconds.observe(time.perf_counter() - began)
        return response

    @app.websocket("/stream")
    async def stream(socket: WebSocket) -> None:
        await _session(service, socket)

    _add_states(app, service)
    return app


def _add_states(app: FastAPI, service: Service) -> None:
    """Add what tells how the service is."""
    run = service.run

    @app.get("/health", summary="Whether requests are taken: 200, or 503")
    async def health() -> Response:
        state = "draining" if service.draining else "ok" if service.is_alive else "stopped"
        found = {
            "status": state,
            "run": run.directory.name,
            "task": run.config["task"]["name"],
            "batching": service.batching,
            "stream": service.no_stream is None,
        }
        return _json(found, 200 if state == "ok" else 503)

    @app.get("/metrics", summary="Figures for Prometheus")
    async def metrics() -> Response:
        text, kind = service.metrics.text()
        return Response(text, media_type=kind)


async def _session(service: Service, socket: WebSocket) -> None:
    """A session of a stream, if one may be opened."""
    await socket.accept()
    refusal = _no_session(service)
    if refusal is not None:
        await _end(socket, *refusal)
        return
    service.sessions.open += 1
    try:
        await _stream(service, socket)
    except WebSocketDisconnect:
        pass
    finally:
        service.sessions.open -= 1


async def _predict(service: Service, request: Request) -> Response:
    if service.draining:
        text = "the server is stopping and takes no more requests"
        headers = {"Retry-After": str(RETRY_S), "Connection": "close"}
        return _json({"detail": text}, 503, headers)
    service.open += 1
    try:
        body = await read_body(request, service.limits.body)
        records = parse(body)
        answers = await service.predict(records, len(body))
        refuse_endless(answers)
        return _json(answers, 200)
    except NotAccepted as error:
        return _json({"detail": str(error)}, error.status)
    except TooLarge as error:
        return _json(refused(error), 413)
    except Refused as error:
        return _json(refused(error), 422)
    except Full as error:
        return _json({"detail": str(error)}, 429, {"Retry-After": str(error.seconds)})
    except Exception as error:
        text = f"the server failed to answer: {type(error).__name__}; its output has more"
        return _json({"detail": text}, 500)
    finally:
        service.open -= 1


def _no_session(service: Service) -> tuple[int, str] | None:
    """Why no session is opened, with the code by which its socket is closed; None where one is."""
    if service.no_stream is not None:
        return POLICY, service.no_stream
    if service.draining:
        return AGAIN, "the server is stopping and opens no more sessions"
    if service.sessions.is_full:
        return AGAIN, f"{service.limits.sessions} sessions are open, which is the limit"
    return None


async def _stream(service: Service, socket: WebSocket) -> None:
    """A session: an answer to every message, until either side ends it."""
    session, idle_s = Session(service), service.limits.idle_s
    while True:
        try:
            message = await asyncio.wait_for(socket.receive_text(), idle_s)
        except TimeoutError:
            await _end(socket, GONE, f"no message came for {idle_s} s: the session is over")
            return
        except KeyError:
            await _end(socket, POLICY, "a message is a text, this one is of bytes")
            return
        try:
            (record,) = parse(message.encode())
            answer = await service.sessions.push(session, record)
        except Spoiled as error:
            await _end(socket, POLICY, str(error))
            return
        except (Refused, NotAccepted) as error:
            # The state is that of the step before: the session goes on.
            answer = {"detail": str(error), "message": session.messages + 1}
        except ValueError:
            answer = {"detail": "a message is one record", "message": session.messages + 1}
        await socket.send_text(json.dumps(answer))


async def _end(socket: WebSocket, code: int, why: str) -> None:
    await socket.send_text(json.dumps({"detail": why}))
    # A reason has at most 123 bytes.
    await socket.close(code, why.encode()[:123].decode(errors="ignore"))


def _json(found: Any, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(found, allow_nan=False), status, headers, "application/json")
