"""What a codec of models offers a server, whatever the format."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from treadle.authoring import CodecError


class Served:
    """Makes the predictor of a model that the codec read."""

    def predictor(
        self, read: Callable[[], Any], card: Mapping[str, Any], example: Sequence[Mapping[str, Any]], form: bytes
    ) -> Any:
        """What answers for a model: compiled where that was proved, else the model itself."""
        from treadle_steps.compiled import answer  # lazy: only a worker that serves a model

        try:
            return answer.predictor(read, card, example, form)
        except ValueError as error:
            raise CodecError(str(error)) from None
