"""The pipeline file as a grammar: every key with its type, what it means and an example."""

from typing import Any

from treadle.document.grammar import (
    BOOL,
    DURATION,
    NAME,
    NAME_PATTERN,
    NAME_SAYS,
    NUMBER,
    SIZE,
    TEXT,
    Anything,
    Field,
    Grammar,
    ListOf,
    Map,
    MapOf,
    OneOf,
    Scalar,
    json_schema,
)

RESERVED = ("data", "params", "matrix", "env", "champion", "in", "out", "reference")
REFERENCE = Scalar(
    ("string",),
    r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)?$",
    "a reference: data.NAME, STEP or STEP.OUTPUT",
    "bad-reference",
)
SCALAR = Scalar(("string", "number", "boolean", "null"))
TEXTS = OneOf(scalar=TEXT, list=ListOf(TEXT, 1))
NAMES = OneOf(scalar=NAME, list=ListOf(NAME))
COUNT = Scalar(("integer",), least=0)
RUNS = Scalar(("integer",), least=1)


def _names(value: Grammar, reserved: tuple[str, ...] = (), least: int = 0) -> MapOf:
    return MapOf(value, NAME_PATTERN, NAME_SAYS, reserved, least)


PARAM = Map(
    {
        "type": Field(
            Scalar(("string",), choices=("int", "float", "str", "bool", "list", "map")), "Its type.", "float"
        ),
        "default": Field(Anything(), "Its value when a run gives none.", 0.1, required=True),
        "min": Field(NUMBER, "The least value a run may give.", 0),
        "max": Field(NUMBER, "The greatest value a run may give.", 1),
        "choices": Field(ListOf(SCALAR, 1), "The only values a run may give.", ["fast", "exact"]),
        "help": Field(TEXT, "What it is for, shown in errors and listings.", "share of rows held back for the test"),
    }
)
DATA = Map(
    {
        "path": Field(TEXT, "A file, a folder or a glob, relative to the project's root.", "data/trips/*.parquet"),
        "url": Field(TEXT, "Anything fsspec opens; its identity is its etag, else its content.", "s3://city/zones.csv"),
        "predictions": Field(NAME, "What the server logged for this model, joined with outcomes.", "surge-pricing"),
        "window": Field(DURATION, "How far back the predictions go.", "24h"),
        "optional": Field(BOOL, "true: an empty table while no predictions are recorded.", True),
        "model": Field(NAME, "The card of this model's champion: what it was accepted on.", "surge-pricing"),
    },
    one_of=("path", "url", "predictions", "model"),
)
RETRY = Map(
    {
        "times": Field(COUNT, "How often a failed attempt is repeated.", 2),
        "backoff": Field(DURATION, "The wait before the second attempt; doubled each time, with jitter.", "5s"),
        "when": Field(
            ListOf(Scalar(("string", "integer"), "^(timeout|crash|error)$", "timeout, crash, error or an exit code")),
            "Which failures are repeated: timeout, crash, error or exit codes; without it all.",
            ["timeout", 75],
        ),
    }
)
RESOURCES = Map(
    {
        "cpu": Field(Scalar(("number",), least=0), "Cores that the step keeps busy.", 2),
        "memory": Field(SIZE, "Memory that the step may use.", "2GiB"),
        "gpu": Field(COUNT, "Devices that the step needs.", 1),
    },
    others=Scalar(("number",), least=0),
)
OUTPUT = OneOf(
    scalar=Scalar(("string", "null")),
    map=Map(
        {
            "path": Field(TEXT, "The file or folder that a command makes.", "model.pkl"),
            "codec": Field(NAME, "How the value is stored, when its type does not say.", "pickle"),
        }
    ),
)
CACHE = OneOf(scalar=BOOL, map=Map({"ttl": Field(DURATION, "How long a result may be used again.", "1d", True)}))
SELECT = Map(
    {
        "min": Field(TEXT, "The cell with the least value of this metric goes on.", "cv_mae"),
        "max": Field(TEXT, "The cell with the greatest value of this metric goes on.", "cv_auc"),
    },
    one_of=("min", "max"),
)
ENVIRONMENT = Scalar(("string",), choices=("strict", "imports", "off"))
SHARED = {
    "retry": Field(RETRY, "What happens when an attempt fails.", {"times": 2, "backoff": "5s"}),
    "timeout": Field(DURATION, "The longest time an attempt may take.", "20m"),
    "resources": Field(RESOURCES, "What the step needs and may use while it runs.", {"cpu": 2, "memory": "2GiB"}),
    "executor": Field(NAME, "Where the step runs.", "process"),
}
STEP = Map(
    {
        "uses": Field(TEXT, "A library step, or module:function of the project.", "features:build"),
        "run": Field(
            TEXT,
            "A shell command; {in.NAME}, {out.NAME} and {params.NAME} are filled in.",
            "sort {in.raw} > {out.sorted}",
        ),
        "in": Field(
            _names(OneOf(scalar=REFERENCE, list=ListOf(REFERENCE, 1))),
            "Inputs: argument or placeholder name to data.NAME, STEP or STEP.OUTPUT.",
            {"trips": "validate"},
        ),
        "with": Field(MapOf(Anything()), "Parameters: argument name to value.", {"test_share": "${params.test_share}"}),
        "out": Field(
            OneOf(scalar=NAME, list=ListOf(NAME, 1), map=_names(OUTPUT, least=1)),
            "Names of the outputs; for a command, name to file or folder.",
            ["train", "test"],
        ),
        "after": Field(NAMES, "Steps that must be done first, for order only.", ["migrate"]),
        "if": Field(
            OneOf(scalar=Scalar(("string", "boolean"))), "The step runs only if this expression is true.", "params.full"
        ),
        "gate": Field(TEXTS, "Rules over metrics; if one fails, what follows is skipped.", ["mae < 0.15"]),
        "matrix": Field(_names(ListOf(SCALAR, 1), least=1), "One step for each combination.", {"depth": [4, 8]}),
        "select": Field(SELECT, "Which cell of the matrix goes on; without it a list of all.", {"min": "cv_mae"}),
        "foreach": Field(REFERENCE, "One item for each element of an upstream list, cached item by item.", "shards"),
        "save": Field(_names(TEXT), "Copies of outputs in the project's tree.", {"train": "data/train.parquet"}),
        "env": Field(MapOf(SCALAR), "Environment variables of the step; part of the key.", {"TZ": "UTC"}),
        "secrets": Field(ListOf(TEXT), "Environment variables that are never recorded.", ["DB_PASSWORD"]),
        "cache": Field(CACHE, "false: always run; {ttl: 1d}: use a result for a day.", False),
        "no_key": Field(ListOf(TEXT), "Parameters that do not change the result.", ["threads"]),
        "code": Field(ListOf(TEXT), "Globs of further files that count as the step's code.", ["sql/*.sql"]),
        "code_version": Field(SCALAR, "Stands for the code: only a new version reruns the step.", "2"),
        "environment": Field(ENVIRONMENT, "Which libraries count: all, those imported, or none.", "imports"),
        "isolation": Field(
            Scalar(("string",), choices=("pool", "fresh", "inline")), "The process a step runs in.", "fresh"
        ),
        "stage": Field(TEXT, "A heading under which pictures and tables group the step.", "training"),
        "mutex": Field(NAME, "Steps with the same word never run at the same time.", "database"),
        "priority": Field(Scalar(("integer",)), "Ready steps with a higher number start first.", 10),
        "description": Field(TEXT, "What the step does, for people.", "Adds the weather."),
        **SHARED,
    },
    one_of=("uses", "run"),
)
BUDGET = Map(
    {
        "per": Field(DURATION, "The span of time.", "7d", True),
        "runs": Field(RUNS, "How many runs it may hold.", 3, True),
    }
)
CAUSES = {
    "drift": Field(NAME, "Fires when this monitor step alarms.", "monitor"),
    "performance": Field(TEXT, "Fires when this expression over metrics is true.", "mae > 1.1 * reference.mae"),
    "cron": Field(TEXT, "Fires at these times.", "0 3 * * *"),
    "files": Field(REFERENCE, "Fires when this data entry changes.", "data.trips"),
    "webhook": Field(NAME, "Fires when this name is posted to.", "retrain"),
    "pipeline": Field(TEXT, "Fires when this other pipeline has run.", "pipelines/features.yaml"),
}
OF_CAUSES = {
    "timezone": Field(TEXT, "The time zone of cron.", "Europe/Berlin"),
    "debounce": Field(DURATION, "How long files must be quiet.", "2s"),
}
CAUSE = Map({**CAUSES, **OF_CAUSES}, one_of=tuple(CAUSES))
TRIGGER = Map(
    {
        **CAUSES,
        "any": Field(ListOf(CAUSE, 1), "Fires for any of these, which share what follows.", [{"drift": "monitor"}]),
        **OF_CAUSES,
        "cooldown": Field(DURATION, "The least time between two runs of this trigger.", "1h"),
        "max_per_day": Field(RUNS, "The most runs in a day.", 4),
        "budget": Field(BUDGET, "The most runs in a span of time.", {"per": "7d", "runs": 3}),
        "unless": Field(NAMES, "Reasons not to fire.", ["rollout"]),
        "run": Field(NAME, "The step up to which the pipeline runs.", "train"),
        "on_fail": Field(
            Map(
                {
                    "backoff": Field(DURATION, "The wait after a failed run; doubled each time.", "6h"),
                    "max": Field(RUNS, "Failed runs in a row after which it stops.", 3),
                }
            ),
            "What happens after a run that failed.",
            {"backoff": "6h", "max": 3},
        ),
    },
    one_of=(*CAUSES, "any"),
)
PIPELINE = Map(
    {
        "version": Field(Scalar(("integer",), choices=(1,)), "The version of the format.", 1, True),
        "name": Field(NAME, "The pipeline's name; without it the file's.", "surge-pricing"),
        "description": Field(TEXT, "What the pipeline is for.", "Price multiplier for each zone."),
        "params": Field(
            _names(OneOf(scalar=SCALAR, list=ListOf(Anything()), map=PARAM)),
            "Parameters: a plain default, or its type, limits and help.",
            {"max_iter": 200},
        ),
        "data": Field(
            _names(DATA), "What comes from outside, versioned by content.", {"trips": {"path": "data/*.csv"}}
        ),
        "defaults": Field(Map(SHARED), "Fills in what steps do not say themselves.", {"timeout": "1h"}),
        "steps": Field(_names(STEP, RESERVED, 1), "The nodes of the DAG.", {"ingest": {"uses": "ingest.table"}}, True),
        "triggers": Field(_names(TRIGGER), "Rules that start a run.", {"nightly": {"cron": "0 3 * * *"}}),
    }
)


def pipeline_schema() -> dict[str, Any]:
    """The published JSON Schema of pipeline files."""
    return json_schema(
        PIPELINE,
        "Treadle pipeline",
        "One YAML file: params, data, steps and triggers.",
        "https://treadle.dev/schemas/pipeline.schema.json",
    )
