"""Load on a server, by Locust: requests of one record each, at random times or without a pause.

    locust -f load.py --headless --host http://127.0.0.1:8000 -u 200 -r 200 -t 20s --records FILE

FILE has a record in JSON on every line. With --rate N the users together send N requests a second,
at the times of a Poisson process; without, each sends the next one when it has its answer.
--times FILE gets the seconds of all answers, after the first --warm seconds, and the bytes of their
requests.
"""

import json
import random
import time
from pathlib import Path

from locust import FastHttpUser, events, task


@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--records", required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--warm", type=float, default=5.0)
    parser.add_argument("--times", default="")


@events.init.add_listener
def prepare(environment, **_):
    options = environment.parsed_options
    environment.bodies = [f"[{line}]" for line in Path(options.records).read_text().splitlines()]
    environment.found = {"seconds": [], "bytes": [], "failed": 0, "began": None, "ended": None}
    begins = []

    @environment.events.test_start.add_listener
    def start(**_):
        begins.append(time.perf_counter() + options.warm)

    @environment.events.request.add_listener
    def keep(response_time, exception, name, **_):
        now, found = time.perf_counter(), environment.found
        if now < begins[0]:
            return
        found["began"] = found["began"] or now
        found["ended"] = now
        if exception is None:
            found["seconds"].append(response_time / 1000)
            found["bytes"].append(int(name))
        else:
            found["failed"] += 1

    @environment.events.quitting.add_listener
    def write(**_):
        if options.times:
            Path(options.times).write_text(json.dumps(environment.found))


class User(FastHttpUser):
    """One of the users; its requests are spread so that all users together keep the rate."""

    due = 0.0

    def on_start(self):
        self.due = time.perf_counter()
        time.sleep(self.wait_time())

    def wait_time(self):
        options = self.environment.parsed_options
        if not options.rate:
            return 0.0
        self.due += random.expovariate(options.rate / options.num_users)
        return max(0.0, self.due - time.perf_counter())

    @task
    def predict(self):
        body = random.choice(self.environment.bodies)
        # Called by its size, so that small and large ones can be told apart.
        self.client.post("/predict", data=body, name=str(len(body)))
