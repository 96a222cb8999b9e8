"""The city as a client: riders ask for prices over HTTP, take them or leave them, and the outcomes are sent back.

python city.py --minutes 120 --competitor 25 --speed 100
"""

import argparse
import http.client
import json
import time
from dataclasses import dataclass, field

import market
import numpy as np

MODEL = "surge-pricing"
RIDERS = 60_000
AT_A_TIME = 0.2  # wall seconds between posts of outcomes
LOUD = 10  # city minutes between lines


@dataclass
class Seen:
    """What the city saw since it last said something."""

    asked: int = 0
    accepted: int = 0
    failed: int = 0
    price: float = 0.0
    versions: dict[str, int] = field(default_factory=dict)


class Client:
    """One connection that is opened again when the server goes away."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://").rstrip("/")
        self.connection = http.client.HTTPConnection(self.host, timeout=10)

    def post(self, path: str, body: object, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        try:
            self.connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **headers})
            answer = self.connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = http.client.HTTPConnection(self.host, timeout=10)
            return 0, {}, b""


class City:
    """Riders, drivers and weather of one evening; `minute` is the city's own time."""

    def __init__(self, client: Client, seed: int, competitor: float | None) -> None:
        self.client = client
        self.draw = np.random.default_rng(seed)
        self.competitor = competitor
        self.outcomes: list[dict[str, object]] = []
        self.posted = time.monotonic()
        self.seen = Seen()

    def live(self, minute: float, count: int) -> None:
        """Some rides of this minute."""
        rival = self.competitor is not None and minute >= self.competitor
        rain = float(int(minute / 7) % 3 == 2)
        rides = market.rides(self.draw, count, rain, rival)
        fair = market.balanced(self.draw, rides, rival)
        for ride, right in zip(rides.to_dict("records"), fair, strict=True):
            self.ask(ride, float(right), rival)
        if self.outcomes and time.monotonic() - self.posted >= AT_A_TIME:
            self.report()

    def ask(self, ride: dict[str, object], fair: float, rival: bool) -> None:
        """A rider asks for a price."""
        rider = f"rider-{self.draw.integers(RIDERS)}"
        body = {"dataframe_records": [ride], "params": {"unit_id": rider}}
        status, headers, answer = self.client.post("/invocations", body, {})
        if status != 200:
            self.seen.failed += 1
            time.sleep(0.0 if status else 0.05)
            return
        price = float(json.loads(answer)["predictions"][0])
        accepted = market.accepts(self.draw, price, fair, rival)
        request = headers["x-request-id"]
        self.outcomes += [
            {"request_id": request, "metric": "accepted", "value": accepted},
            {"request_id": request, "metric": "balanced", "value": fair},
        ]
        self.seen.asked += 1
        self.seen.accepted += accepted
        self.seen.price += price
        version = headers["x-model-version"]
        self.seen.versions[version] = self.seen.versions.get(version, 0) + 1

    def report(self) -> None:
        """Send the outcomes; they are sent again until the server says that it has them."""
        status, _, _ = self.client.post("/feedback", {"outcomes": self.outcomes}, {})
        if status == 200:
            self.outcomes = []
        self.posted = time.monotonic()

    def say(self, minute: float) -> None:
        """A line on what happened since the last one."""
        seen, self.seen = self.seen, Seen()
        versions = ", ".join(f"v{name} {count}" for name, count in sorted(seen.versions.items()))
        rate, price = seen.accepted / max(seen.asked, 1), seen.price / max(seen.asked, 1)
        failed = f", {seen.failed} failed" if seen.failed else ""
        rival = " (with a competitor)" if self.competitor is not None and minute >= self.competitor else ""
        text = f"{seen.asked} rides, price {price:.2f}, accepted {rate:.0%}{failed}; {versions}"
        print(f"minute {minute:5.0f}{rival}: {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="where treadle serves")
    parser.add_argument("--minutes", type=float, default=180, help="how long, in minutes of the city")
    parser.add_argument("--competitor", type=float, help="the minute in which a competitor arrives (default: never)")
    parser.add_argument("--speed", type=float, default=100, help="how many times faster than life (default 100)")
    parser.add_argument("--rides", type=float, default=120, help="rides in a minute of the city (default 120)")
    parser.add_argument("--seed", type=int, default=11)
    args = parser.parse_args()
    city = City(Client(args.url), args.seed, args.competitor)
    began = time.monotonic()
    done = said = 0.0
    while (minute := (time.monotonic() - began) * args.speed / 60) < args.minutes:
        due = int(minute * args.rides - done)
        if due < 1:
            time.sleep(0.005)
            continue
        city.live(minute, min(due, 50))
        done += due  # what a slow server could not take is not asked again
        if minute - said >= LOUD:
            said = minute
            city.say(minute)
    city.report()
    city.say(args.minutes)


if __name__ == "__main__":
    main()
