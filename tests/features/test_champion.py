"""`champion.X` in a gate: the champion, judged by the same step on the same data as the new model."""

from support.project import Project

PIPELINE = """
    version: 1
    name: fares
    params: {alpha: 0.1}
    data:
      trips: {path: trips.csv}
    steps:
      ingest: {uses: ingest.table, in: {source: data.trips}}
      split: {uses: split.random, in: {data: ingest}}
      train:
        uses: train.estimator
        in: {data: split.train}
        with: {estimator: sklearn.linear_model.Ridge, target: fare, params: {alpha: "${params.alpha}"}, cv: 0}
      evaluate:
        uses: evaluate.regression
        in: {model: train, data: split.test}
        with: {bootstrap: 0, importance: 0}
        gate: "mae <= champion.mae * 1.1"
      deploy:
        uses: deploy.model
        in: {model: train, report: evaluate, reference: split.test}
        with: {name: fares}
"""
TRIPS = "distance,fare\n" + "".join(f"{n / 10},{n / 5 + (n * 7 % 5) / 10}\n" for n in range(200))


def fates(project: Project, *arguments: str) -> dict[str, str]:
    result = project.treadle("run", "p.yaml", "-q", *arguments)
    assert result.code == 0, result.stderr
    return {name: step["fate"] for name, step in project.treadle("show", "last", "--json").json()["steps"].items()}


def test_a_model_that_is_worse_than_the_champion_goes_no_further(project: Project) -> None:
    project.write("p.yaml", PIPELINE).write("trips.csv", TRIPS)
    assert fates(project)["deploy"] == "run"
    assert set(fates(project).values()) == {"hit"}  # the champion is this very model: nothing to compare
    worse = fates(project, "-p", "alpha=100000")
    assert (worse["evaluate"], worse["deploy"]) == ("run", "skip")
    step = project.treadle("show", "last", "evaluate", "--json").json()
    metrics = step["metrics"]
    assert metrics["mae"] > 1.1 * metrics["champion_mae"]
    assert step["gates"][0]["values"]["champion.mae"] == metrics["champion_mae"]
    better = fates(project, "-p", "alpha=0.01")
    assert (better["evaluate"], better["deploy"]) == ("run", "run")
    assert fates(project, "-p", "alpha=0.01")["evaluate"] == "hit"
    explained = project.treadle("explain", "p.yaml", "evaluate", "-p", "alpha=0.01")
    assert explained.code == 0, explained.stderr
