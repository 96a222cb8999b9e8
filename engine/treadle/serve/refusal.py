"""A request that is not answered, in words for the caller; each dialect gives it its own shape."""


class Refusal(Exception):
    """`status` is the HTTP status, `text` what was wrong and what was expected, `retry_after` in seconds."""

    def __init__(self, status: int, text: str, retry_after: int = 0) -> None:
        self.status = status
        self.text = text
        self.retry_after = retry_after
        super().__init__(text)


def shown(value: object) -> str:
    """A value of a request as an error names it: short, printable, no more than the caller sent."""
    try:
        text = ascii(value[:80] if isinstance(value, str | list) else value)
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
