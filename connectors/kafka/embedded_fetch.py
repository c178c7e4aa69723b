"""Fetches the jars of Apache Kafka, once for each user, without Maven or Java on the machine.

jgo's Maven layer resolves and downloads the jars into a temporary folder, which is renamed when it is complete, so an
interrupted fetch never looks like a complete one. This module does not use `jgo.build`, which keeps half-written files,
and which fetches a whole JDK (where none is installed) to sort jars that share one class path.
"""

import logging
import shutil
import tempfile
from concurrent import futures
from pathlib import Path

from connectors import errors, locks

# With log4j among the coordinates, jgo would use its managed versions, one of them an old kafka-clients.
COORDINATES = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
_PROOF = "kafka-clients-4.3.1.jar"
_ATTEMPTS = 2
_TIMEOUT = 30  # seconds of one request
_DOWNLOADS = 8

log = logging.getLogger(__name__)


def jars(cache: Path) -> Path:
    """The folder with every jar of the broker, which is fetched now (some 45 MB) if `cache` lacks it.

    Several processes may call it at once: one fetches, the others wait. Raises Misconfigured (JARS).
    """
    complete = cache / COORDINATES[0].replace(":", "-")
    if complete.is_dir():
        return complete
    lock = locks.FileLock(cache / "fetch.lock")
    lock.acquire(wait=True)
    try:
        if not complete.is_dir():
            _fetch(complete)
    finally:
        lock.release()
    return complete


def _fetch(complete: Path) -> None:
    log.info("fetching Apache Kafka %s, once (about 45 MB)", COORDINATES[0].rpartition(":")[2])
    for attempt in range(1, _ATTEMPTS + 1):
        for leftover in complete.parent.glob("partial-*"):
            shutil.rmtree(leftover)
        partial = Path(tempfile.mkdtemp(prefix="partial-", dir=complete.parent))
        try:
            flat = partial / "jars"
            flat.mkdir()
            for jar in _download(partial / "repository"):
                jar.rename(flat / jar.name)
            if not (flat / _PROOF).is_file():
                raise RuntimeError(f"{_PROOF} is not among the {len(list(flat.iterdir()))} jars resolved")
            flat.rename(complete)
            return
        # jgo reports a missing artifact as RuntimeError; the network's errors (requests) are OSErrors.
        except (OSError, RuntimeError) as error:
            if attempt == _ATTEMPTS:
                raise errors.Misconfigured(
                    f"the jars of Apache Kafka cannot be fetched: {error}", code="JARS"
                ) from error
            log.warning("fetching Apache Kafka failed, one more attempt: %s", error)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _download(repository: Path) -> list[Path]:
    """The path of every jar that the coordinates need at run time, in the versions that Maven would choose."""
    # This import takes longer than all others together, and is needed once on a machine.
    from jgo import maven  # noqa: PLC0415

    context = maven.MavenContext(repo_cache=repository, timeout=_TIMEOUT)
    chosen, transitive = context.resolver.resolve([context.create_dependency(text) for text in COORDINATES])
    artifacts = [d.artifact for d in chosen]
    artifacts += [d.artifact for d in transitive if d.scope in ("compile", "runtime")]
    with futures.ThreadPoolExecutor(_DOWNLOADS) as pool:
        return list(pool.map(lambda artifact: artifact.resolve(), artifacts))
