"""What a running server does beside answering: swaps, splits, shadows, batches, pushes back, logs, keeps out."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from support.served import FakeShelf, Served, Sums, a_version, serving
from treadle.domain.serving import Prediction, Switchback, Traffic
from treadle.serve.assign import assign
from treadle.serve.limits import Limits
from treadle.serve.shelf import State
from treadle.store.predictions import find_window, model_folder
from treadle.store.predictions.columns import answers
from treadle.store.predictions.segments import Answers
from treadle.store.predictions.window import load

ONE = {"instances": [[1, 0, 0]]}


def logged(served: Served) -> list[Prediction]:
    window = find_window(model_folder(str(served.store), "m"), None)
    if window is None:
        return []
    frames = [frame for source in window.sources for frame in load(source.path)[0]]
    return [record for frame in frames if isinstance(frame, Answers) for record in frame.records]


def predict(served: Served, body: Any = ONE, **headers: str) -> tuple[list[float], dict[str, str]]:
    answer = served.ask("POST", "/invocations", body, **headers)
    assert answer.status == 200, answer.body
    return answer.json()["predictions"], answer.headers


def test_not_ready_until_the_model_has_answered_its_example() -> None:
    shelf = FakeShelf({1: Sums(a_version(1))})
    shelf.states["m"] = State(None)
    with serving(shelf, ready=False) as served:
        for path in ("/ping", "/health", "/v2/health/ready", "/v2/models/m/ready"):
            assert served.ask("GET", path).status == 503, path
        assert served.ask("GET", "/v2/health/live").status == 200
        refused = served.ask("POST", "/invocations", ONE)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        shelf.states["m"] = State(1)
        served.until(lambda: served.ask("GET", "/ping").status == 200, "ready")
        assert predict(served)[0] == [1.0]


def test_a_model_that_cannot_answer_its_example_never_serves() -> None:
    cursed = a_version(2, example=({"a": 666.0, "b": 0.0, "c": 0.0},))
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(cursed)})
    shelf.states["m"] = State(1)
    with serving(shelf) as served:
        shelf.states["m"] = State(2)
        served.until(lambda: any("cursed" in text for text in served.said), "said")  # type: ignore[attr-defined]
        assert predict(served)[0] == [1.0]


def test_a_swap_fails_no_request_and_old_versions_stay_warm() -> None:
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(a_version(2))})
    shelf.states["m"] = State(1)
    with serving(shelf) as served:
        seen: list[tuple[float, str]] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                values, headers = predict(served)
                seen.append((values[0], headers["x-model-version"]))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in (2, 1, 2, 1):
            shelf.states["m"] = State(number)
            served.until(lambda n=number: bool(seen) and seen[-1][0] == n, f"version {number}")
        stop.set()
        for thread in threads:
            thread.join()
        assert {(value, version) for value, version in seen} == {(1.0, "1"), (2.0, "2")}
        assert shelf.loads == [1, 2]  # going back loads nothing


def test_arms_follow_the_unit_wherever_it_is_named() -> None:
    traffic = Traffic(name="m", enrolled=0.5, salt_enrol="e", salt_arm="a", unit="rider")
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(a_version(2))}, traffic)
    with serving(shelf) as served:
        for unit in (f"u{n}" for n in range(30)):
            expected = assign(traffic, unit)
            row = {"a": 1, "b": 0, "c": 0}
            ways: list[tuple[Any, dict[str, str]]] = [
                (ONE, {"x_unit_id": unit}),
                ({**ONE, "params": {"unit_id": unit}}, {}),
                ({"dataframe_records": [{**row, "rider": unit}]}, {}),
                (ONE, {"x_amzn_sagemaker_custom_attributes": f"unit_id={unit}"}),
                (ONE, {"cookie": f"x=1; treadle_unit={unit}"}),
            ]
            for body, headers in ways:
                values, marks = predict(served, body, **headers)
                assert marks["x-arm"] == expected.arm
                assert values == [2.0 if expected.arm == "challenger" else 1.0]
        assert predict(served)[1]["x-arm"] == "champion"  # nobody named a unit
        records = logged(served)
    assert {(r.units[0], r.arm, r.propensity) for r in records if r.units[0].startswith("u")} == {
        (one.unit, one.arm, one.propensity) for one in (assign(traffic, f"u{n}") for n in range(30))
    }


def test_rows_of_several_units_are_split_and_come_back_in_order() -> None:
    traffic = Traffic(name="m", enrolled=1.0, salt_enrol="e", salt_arm="a", unit="rider")
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(a_version(2))}, traffic)
    units = [f"u{n}" for n in range(20)]
    with serving(shelf) as served:
        rows = [{"a": n, "b": 0, "c": 0, "rider": unit} for n, unit in enumerate(units)]
        values, marks = predict(served, {"dataframe_records": rows})
        assert marks["x-arm"] == "mixed"
        factor = [2 if assign(traffic, unit).arm == "challenger" else 1 for unit in units]
        assert values == [float(n * factor[n]) for n in range(20)]
        parts = logged(served)
    assert sorted(position for part in parts for position in part.positions) == list(range(20))
    assert all(assign(traffic, u).arm == part.arm for part in parts for u in part.units)


def test_a_switchback_takes_the_cluster_and_the_window() -> None:
    traffic = Traffic(name="m", enrolled=1.0, salt_arm="s", switchback=Switchback("zone", 3600.0))
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(a_version(2))}, traffic)
    with serving(shelf) as served:
        for zone in "abcdef":
            predict(served, {"dataframe_records": [{"a": 1, "b": 0, "c": 0, "zone": zone}]})
        records = logged(served)
    for record in records:
        assert record.units[0][0] in "abcdef" and "@" in record.units[0]
        assert record.arm == assign(traffic, record.units[0]).arm


def test_a_shadow_answers_unseen_and_is_logged() -> None:
    shelf = FakeShelf({1: Sums(a_version(1)), 2: Sums(a_version(2))}, Traffic(name="m", shadow=1.0))
    with serving(shelf) as served:
        assert [predict(served)[0] for _ in range(5)] == [[1.0]] * 5
        served.until(lambda: sum(r.arm == "shadow" for r in logged(served)) == 5, "five shadows")
        shadow = next(r for r in logged(served) if r.arm == "shadow")
        assert (shadow.version, shadow.shadow_of) == (2, 1)
        assert b'shadow_disagreement{endpoint="m"} 1\n' in served.ask("GET", "/metrics").body


def test_what_waits_is_predicted_together_and_a_lone_request_at_once() -> None:
    model = Sums(a_version(1))
    with serving(FakeShelf({1: model})) as served:
        model.calls.clear()
        predict(served)
        assert model.calls == [1]
        model.calls.clear()
        many = b"".join(request_bytes(b'{"instances":[[%d,0,0]]}' % n) for n in range(8))
        assert (
            served.raw(many + request_bytes(b'{"instances":[[9,0,0]]}', b"connection: close\r\n")).count(b"200 OK") == 9
        )
        model.pause = 0.1
        model.calls.clear()
        results: list[float] = []
        threads = [threading.Thread(target=lambda: results.extend(predict(served)[0])) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [1.0] * 12
        assert sum(model.calls) == 12 and len(model.calls) < 12


def request_bytes(body: bytes, extra: bytes = b"") -> bytes:
    head = b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n" + extra
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


def test_one_bad_row_fails_its_own_request_alone() -> None:
    model = Sums(a_version(1))
    with serving(FakeShelf({1: model})) as served:
        model.pause = 0.2
        answers: dict[int, int] = {}

        def ask(value: int) -> None:
            answers[value] = served.ask("POST", "/invocations", {"instances": [[value, 0, 0]]}).status

        threads = [threading.Thread(target=ask, args=(value,)) for value in (1, 2, 666, 3, 4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {1: 200, 2: 200, 3: 200, 4: 200, 666: 500}
        failed = served.ask("POST", "/invocations", {"instances": [[666, 0, 0]]})
        assert failed.json() == {
            "error_code": "INTERNAL_ERROR", "message": "the model failed: ValueError: this row is cursed",
        }  # fmt: skip
        assert [r.status for r in logged(served) if r.status != 200] == [500, 500]


def test_too_many_are_told_to_come_back() -> None:
    model = Sums(a_version(1))
    with serving(FakeShelf({1: model}), Limits(waiting=4)) as served:
        model.pause = 0.2
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(served.ask("POST", "/invocations", ONE).status))
            for _ in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) == {200, 429}
        model.pause = 0.0
        assert predict(served)[0] == [1.0]
        assert b'code="429"' in served.ask("GET", "/metrics").body


def test_who_waited_too_long_is_not_predicted_any_more() -> None:
    model = Sums(a_version(1))
    with serving(FakeShelf({1: model}), Limits(wait=0.05)) as served:
        model.pause = 0.3
        answers: list[int] = []
        threads = [
            threading.Thread(target=lambda: answers.append(served.ask("POST", "/invocations", ONE).status))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(answers) <= {200, 504} and 200 in answers


def test_every_answer_is_in_the_log_before_it_is_sent() -> None:
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        for n in range(20):
            answer = served.ask("POST", "/invocations", {"instances": [[n, 1, 2], [n, 3, 4]]}, x_request_id=f"r{n}")
            assert answer.status == 200
            [record] = [r for r in logged(served) if r.request_id == f"r{n}"]
            assert (record.rows, record.status, record.version, record.arm) == (2, 200, 1, "champion")
        window = find_window(model_folder(str(served.store), "m"), None)
        assert window is not None
        rows = [row for source in window.sources for row in answers(load(source.path)[0]).to_pylist()]
        assert [(row["a"], row["c"], row["prediction"]) for row in rows[:2]] == [(0, 2, 3), (0, 4, 7)]
        assert b'log_written_total{endpoint="m"} 20\n' in served.ask("GET", "/metrics").body


def test_what_cannot_be_logged_is_answered_and_counted() -> None:
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        served.store.mkdir(exist_ok=True)
        (served.store / "predictions").write_text("in the way")
        assert predict(served)[0] == [1.0]
        assert b'log_dropped_total{endpoint="m"} 1\n' in served.ask("GET", "/metrics").body


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"request_id": None}, "outcome 0: expected either request_id or unit"),
        ({"unit": "u"}, "outcome 0: expected either request_id or unit"),
        ({"metric": ""}, "outcome 0: metric is missing; expected the name of what was measured"),
        ({"value": None}, "outcome 0: value is None, expected a number, true, false or text"),
        ({"row": -1}, "outcome 0: row is -1, expected the row's place in its request"),
        ({"at": "noon"}, "outcome 0: at is 'noon', expected a time in ISO 8601 or seconds since 1970"),
        ({"label": 1}, "outcome 0: key 'label' is unknown; expected request_id, row, unit, metric, value, at"),
    ],
)
def test_feedback_says_what_is_wrong(one_server: Served, change: dict[str, Any], text: str) -> None:
    outcome = {"request_id": "r", "metric": "accepted", "value": True, **change}
    answer = one_server.ask("POST", "/feedback", outcome)
    assert (answer.status, answer.json()) == (400, {"error": text})


def test_feedback_takes_one_or_many(one_server: Served) -> None:
    one = {"request_id": "r", "metric": "accepted", "value": True}
    assert one_server.ask("POST", "/feedback", one).json() == {"stored": 1}
    assert one_server.ask("POST", "/feedback", [one, {**one, "at": "2026-01-01T00:00:00Z"}]).json() == {"stored": 2}
    assert one_server.ask("POST", "/feedback", {"outcomes": [one]}).json() == {"stored": 1}


@pytest.fixture(scope="module")
def one_server() -> Any:
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        yield served


def test_who_may_change_state() -> None:
    outcome = {"request_id": "r", "metric": "m", "value": 1}
    shelf: Callable[[], FakeShelf] = lambda: FakeShelf({1: Sums(a_version(1))})  # noqa: E731
    with serving(shelf(), token="0123456789abcdef", loopback=False) as served:
        assert served.ask("POST", "/feedback", outcome).status == 401
        assert served.ask("POST", "/feedback", outcome, authorization="Bearer wrong").status == 401
        assert served.ask("POST", "/feedback", outcome, authorization="Bearer 0123456789abcdef").status == 200
        assert served.ask("POST", "/v2/repository/models/m/unload", {}).status == 401
        assert predict(served)[0] == [1.0]
    with serving(shelf(), loopback=False) as served:
        assert served.ask("POST", "/feedback", outcome).status == 403
    with serving(shelf()) as served:
        assert served.ask("POST", "/feedback", outcome, origin="https://evil.example").status == 403
        assert served.ask("POST", "/feedback", outcome, host="evil.example:80").status == 403
        assert served.ask("POST", "/feedback", outcome, origin=f"http://localhost:{served.port}").status == 200


def test_metrics_are_what_prometheus_reads() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        for _ in range(3):
            predict(served)
        served.ask("POST", "/invocations", {"instances": [["x", 1, 2]]})
        served.ask("POST", "/v2/models/m/infer", b"no")
        text = served.ask("GET", "/metrics").body.decode()
    families = {one.name: one for one in parser.text_string_to_metric_families(text)}
    requests = {
        (s.labels["endpoint"], s.labels["version"], s.labels["arm"], s.labels["code"]): s.value
        for s in families["requests"].samples
    }
    assert requests == {("m", "1", "champion", "200"): 3.0, ("m", "", "", "400"): 2.0}
    latency = {s.name: s.value for s in families["latency_seconds"].samples if s.name.endswith(("_count", "_sum"))}
    assert latency["latency_seconds_count"] == 3.0
    assert families["latency_seconds"].type == "histogram"
    assert families["model_loaded_info"].samples[0].labels == {"name": "m", "version": "1", "arm": "champion"}


def test_a_refusal_carries_the_request_id() -> None:
    with serving(FakeShelf({1: Sums(a_version(1))})) as served:
        refused = served.ask("POST", "/invocations", {"instances": [["wet", 0, 0]]}, x_request_id="order-18")
        assert (refused.status, refused.headers["x-request-id"]) == (400, "order-18")
