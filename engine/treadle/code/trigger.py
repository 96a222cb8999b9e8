"""What runs when a definition is made: `@register("x")` and `make(…)` may change what other code sees."""

from treadle.code.followed import Followed
from treadle.code.resolve import Node, Resolver


class Triggers:
    """Tells whether importing a module changes the state of some module, beside binding names."""

    def __init__(self, modules: Followed, names: Resolver) -> None:
        self._modules = modules
        self._names = names
        self._writers: dict[str, bool] = {}

    def runs(self, module: str, chain: str) -> bool:
        """Whether making a definition calls code of the project that may change a module's state."""
        probe = Node()
        self._names.name(module, chain.split("."), probe)
        for lead in [lead for lead in probe.leads if ":" in lead and not lead.endswith("*")]:
            name = lead.partition(":")[2]
            if chain.rpartition(".")[2] != name and "." in chain and self._is_value(lead):
                return True  # a method of an object of a module, such as registry.register
            if self._writes(lead, set()):
                return True
        return False

    def _is_value(self, lead: str) -> bool:
        module, _, name = lead.partition(":")
        summary = self._modules.summary(module)
        definition = summary.definitions.get(name) if summary else None
        return definition is not None and bool(definition.triggers) and not definition.alias

    def _writes(self, lead: str, seen: set[str]) -> bool:
        if lead in self._writers:
            return self._writers[lead]
        if lead in seen:
            return False
        seen.add(lead)
        module, _, name = lead.partition(":")
        summary = self._modules.summary(module)
        definition = summary.definitions.get(name) if summary else None
        if definition is None:
            return False
        probe = Node()
        for chain in definition.uses:
            self._names.name(module, chain.split("."), probe)
        inner = [lead for lead in probe.leads if ":" in lead and not lead.endswith("*")]
        found = definition.writes or any(self._writes(lead, seen) for lead in inner)
        self._writers[lead] = found
        return found
