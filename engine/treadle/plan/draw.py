"""A plan as a picture in text: a tree for the terminal, Mermaid and DOT for documents."""

from collections.abc import Callable

from treadle.domain.plan import Plan
from treadle.plan import graph

WIDEST = 120  # characters of indentation


def tree(plan: Plan, label: Callable[[str], str] = str) -> str:
    """The DAG drawn from its first steps down; a step met again is shown once more without its branch.

    From 40 levels on a step stands below the one it needs with an arrow: a chain of 10,000 would be as wide as long.
    """
    below: dict[str, list[str]] = {step.id: [] for step in plan.steps}
    needs = {step.id: [need for need in step.needs if need in below] for step in plan.steps}
    for step, found in needs.items():
        for need in found:
            below[need].append(step)
    lines: list[str] = []
    seen: set[str] = set()
    todo = [(name, "", "", "") for name in reversed([n for n, found in needs.items() if not found])]
    while todo:
        name, prefix, mark, inner = todo.pop()
        again = name in seen and bool(below[name])
        lines.append(f"{prefix}{mark}{label(name)}{' …' if again else ''}")
        if again:
            continue
        seen.add(name)
        children = below[name]
        for position in range(len(children) - 1, -1, -1):
            last = position == len(children) - 1
            if len(prefix) < WIDEST:
                todo.append((children[position], prefix + inner, "└─ " if last else "├─ ", "   " if last else "│  "))
            else:
                todo.append((children[position], prefix, "↳  ", ""))
    return "\n".join(lines)


def mermaid(plan: Plan) -> str:
    """The DAG as a Mermaid flow chart; data from outside is drawn as cylinders."""
    number = {step.id: f"s{position}" for position, step in enumerate(plan.steps)}
    lines = ["flowchart LR"]
    lines += [f'  {_data(name)}[("{name}")]' for name in plan.data]
    lines += [f'  {number[step.id]}["{_quoted(step.id)}"]' for step in plan.steps]
    for step in plan.steps:
        for source in dict.fromkeys(s for sources in step.inputs.values() for s in sources if s.step is None):
            lines.append(f"  {_data(source.output)} --> {number[step.id]}")
        lines += [f"  {number[need]} --> {number[step.id]}" for need in step.needs if need in number]
    return "\n".join(lines)


def dot(plan: Plan) -> str:
    """The DAG in Graphviz' language."""
    lines = ["digraph {", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    lines += [f'  "data.{name}" [shape=cylinder];' for name in plan.data]
    for step in plan.steps:
        lines.append(f'  "{_escaped(step.id)}";')
        for source in dict.fromkeys(s for sources in step.inputs.values() for s in sources if s.step is None):
            lines.append(f'  "data.{source.output}" -> "{_escaped(step.id)}";')
        lines += [f'  "{_escaped(need)}" -> "{_escaped(step.id)}";' for need in step.needs]
    return "\n".join([*lines, "}"])


def layers(plan: Plan) -> list[list[str]]:
    """The steps by generation, first those that need nothing."""
    present = {step.id for step in plan.steps}
    return graph.layers(graph.build({s.id: [n for n in s.needs if n in present] for s in plan.steps}))


def _data(name: str) -> str:
    return f"d_{name.replace('-', '_')}"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
