"""Durations, sizes and shares as users write them, and back."""

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))} | {
    unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)
}


def duration(value: str | int | float) -> float:
    """Seconds of `90s`, `20m`, `1h30m`, `250ms`, `1d` or a plain number of seconds; ValueError otherwise."""
    if isinstance(value, str):
        if not _matches(DURATION_PATTERN, value):
            raise ValueError(f"'{value}' is not a duration: write a number and a unit, such as 90s, 20m, 1h30m or 1d")
        import re  # lazy: 3 ms that a run with nothing to do spares

        return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([0-9.]+)(ms|[smhdw])", value))
    if isinstance(value, bool) or value < 0:
        raise ValueError(f"{value} is not a duration: seconds, at least 0")
    return float(value)


def size(value: str | int) -> int:
    """Bytes of `2GiB`, `512MB` or a plain number of bytes; ValueError otherwise."""
    if isinstance(value, str):
        if not _matches(SIZE_PATTERN, value):
            raise ValueError(f"'{value}' is not a size: write a number and a unit, such as 512MB or 2GiB")
        number = value.rstrip("BKMGTi")
        return int(float(number) * _BYTES[value[len(number) :]])
    if isinstance(value, bool) or value < 0:
        raise ValueError(f"{value} is not a size: bytes, at least 0")
    return int(value)


def share(value: str | int | float) -> float:
    """A share between 0 and 1 of `0.2` or `20%`; ValueError otherwise."""
    if isinstance(value, str):
        if not _matches(SHARE_PATTERN, value):
            raise ValueError(f"'{value}' is not a share: write 0.2 or 20%")
        number = float(value[:-1]) / 100
    else:
        number = float(value)
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError(f"{value} is not a share: between 0 and 1, or 0% and 100%")
    return number


def format_figure(value: float) -> str:
    """A measured number for people: whole ones in full, others with four digits that count."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def format_duration(seconds: float) -> str:
    """Seconds for people: `12 ms`, `3.4 s`, `2m 05s`, `1h 02m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def format_size(count: float) -> str:
    """Bytes for people, in binary units."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _matches(pattern: str, value: str) -> bool:
    import re  # lazy: 3 ms that a run with nothing to do spares

    return re.match(pattern, value) is not None
