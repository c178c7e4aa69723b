"""The fingerprint of a mapping: two mappings with the same one convert every row to the same order."""

import functools
import hashlib
import json

from mappings import loading

# Raise it whenever a change of this package's code converts any row otherwise than before.
CONVERSION = 2


@functools.lru_cache(maxsize=8)
def fingerprint(mappings: loading.Mappings) -> str:
    """16 hex digits of board.yaml, customers.csv, values.csv and the version of the conversion."""
    rules = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in mappings.rules}
    content = {
        "conversion": CONVERSION,
        "board": mappings.board.model_dump(mode="json"),
        "customers": dict(mappings.customers.names),
        "rules": rules,
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
