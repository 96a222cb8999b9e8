"""What one request and one worker may take."""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Sizes in bytes, times in seconds."""

    body: int = 6 << 20  # SageMaker's own limit is 6 MiB
    rows: int = 10_000  # of one request
    waiting: int = 256  # requests read and not yet answered, per worker; more are told to come back (429)
    batch: int = 4_096  # rows predicted together
    wait: float = 10.0  # in the queue; a request older than that is not predicted any more (504)
    head: int = 32 << 10
    headers: int = 100
    read: float = 30.0  # from the first byte of a request to its last
    idle: float = 75.0  # between requests of a connection
    connections: int = 4_096
    stop: float = 20.0  # for requests under way when told to stop; SageMaker kills after 30
    hang: float = 60.0  # without a sign of life until a worker is killed and replaced
