"""The table schema as a grammar: what a validated table must look like."""

from typing import Any

from treadle.document.grammar import (
    BOOL,
    DURATION,
    NUMBER,
    SHARE,
    TEXT,
    Field,
    ListOf,
    Map,
    MapOf,
    Scalar,
    json_schema,
)

SCALAR = Scalar(("string", "number", "boolean"))
COUNT = Scalar(("integer",), least=0)
SEVERITY = Field(Scalar(("string",), choices=("error", "warn")), "Whether a failure stops or only warns.", "warn")
RANGE = Map({"min": Field(COUNT, "The least.", 1), "max": Field(COUNT, "The most.", 100)})
MOSTLY = Field(SHARE, "The share of rows that must pass.", 0.999)
DTYPES = ("string", "int", "float", "bool", "datetime", "date", "category", "any")
ROLES = ("id", "time", "feature", "label", "weight")

COLUMN = Map(
    {
        "dtype": Field(Scalar(("string",), choices=DTYPES), "The type of its values.", "float"),
        "required": Field(BOOL, "Whether the column must be there; true without it.", True),
        "unique": Field(BOOL, "No value stands twice.", True),
        "role": Field(Scalar(("string",), choices=ROLES), "What the column is for.", "label"),
        "min": Field(Scalar(("number", "string")), "The least value; for dates as text.", 0),
        "max": Field(Scalar(("number", "string")), "The greatest value; for dates as text.", 300),
        "mostly": MOSTLY,
        "in": Field(ListOf(SCALAR, 1), "The values allowed.", ["A", "B"]),
        "regex": Field(TEXT, "What every text must match from its beginning.", "[A-Z]{2}[0-9]+"),
        "length": Field(RANGE, "The number of characters.", {"min": 1, "max": 20}),
        "null": Field(
            Map({"max_share": Field(SHARE, "The greatest share of missing values.", 0.02, True)}),
            "How much may be missing; without it nothing.",
            {"max_share": 0.02},
        ),
        "unseen": Field(
            Map(
                {
                    "max_share": Field(SHARE, "The greatest share of values outside `in`.", 0.01, True),
                    "severity": SEVERITY,
                }
            ),
            "How much may lie outside `in`.",
            {"max_share": 0.01},
        ),
        "severity": SEVERITY,
        "environments": Field(ListOf(TEXT, 1), "Where the column is expected, such as train.", ["train"]),
        "description": Field(TEXT, "What the column means, with its unit.", "Distance in km."),
    }
)
EXPECT = Map(
    {
        "expr": Field(TEXT, "An expression over columns that holds in every row.", "dropoff >= pickup", True),
        "mostly": MOSTLY,
        "severity": SEVERITY,
        "name": Field(TEXT, "What the report calls it.", "ends after it begins"),
    }
)
TABLE = Map(
    {
        "version": Field(Scalar(("integer",), choices=(1,)), "The version of the format.", 1, True),
        "description": Field(TEXT, "What the table holds.", "One row per ride."),
        "table": Field(
            Map(
                {
                    "rows": Field(RANGE, "How many rows there must be.", {"min": 1000}),
                    "key": Field(ListOf(TEXT, 1), "Columns that together name a row once.", ["ride_id"]),
                    "fresh": Field(
                        Map(
                            {
                                "column": Field(TEXT, "The column with the time.", "ts", True),
                                "max_age": Field(DURATION, "The greatest age of the newest row.", "6h", True),
                                "severity": SEVERITY,
                            }
                        ),
                        "How old the newest row may be.",
                        {"column": "ts", "max_age": "6h"},
                    ),
                    "extra_columns": Field(
                        Scalar(("string",), choices=("error", "warn", "allow")), "What further columns are.", "warn"
                    ),
                    "expect": Field(ListOf(EXPECT), "Rules across columns.", [{"expr": "dropoff >= pickup"}]),
                }
            ),
            "Rules for the table as a whole.",
            {"rows": {"min": 1000}},
        ),
        "columns": Field(
            MapOf(COLUMN, least=1), "Rules for each column.", {"fare": {"dtype": "float", "min": 0}}, True
        ),
        "skew": Field(
            Map(
                {
                    "reference": Field(TEXT, "The name of the table to compare with, for people.", "train"),
                    "psi": Field(NUMBER, "The greatest PSI of a column against the reference.", 0.1, True),
                    "severity": SEVERITY,
                }
            ),
            "How far distributions may lie from the reference.",
            {"psi": 0.1},
        ),
    }
)


def table_schema() -> dict[str, Any]:
    """The published JSON Schema of table schemas."""
    return json_schema(
        TABLE,
        "Treadle table schema",
        "What a table must look like: columns, rows and rules across columns.",
        "https://treadle.dev/schemas/table.schema.json",
    )
