"""Whether damaged and forged model files are refused.

    python benchmarks/model_files.py [--count 100000] [--seed 0]

A small fitted model is dumped, and its file changed at random `count` times: bits
flipped, bytes replaced, pieces cut out, doubled, zeroed or swapped, the end cut off or
random bytes added, numbers of the header changed with checksums that are right again.
Each is read by `skae.load`. Refused is a ModelFileError. Unchanged is a file that is
read and gives the same codes as the first one, to the last bit; for forged headers, in
which parameters may be others, a file that is read at all and gives finite codes counts
as "read". Everything else is an escape: another exception, other codes, a file that was
written or a process that was started while reading. Memory is the largest growth of the
process; above 100 MB it is an escape too.
"""

import hashlib
import json
import struct
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from _common import parser, peak, report
from sklearn.datasets import load_digits

from skae import AutoencoderTransformer, ModelFileError, dump, load

EXECUTING = ("os.system", "subprocess.Popen", "os.exec", "exec", "import", "open")
MOST_MEMORY = 100  # MB of growth; the file has 0.02
NUMBERS = (0, -1, 1, 2, 10**6, 10**12, 2**63, 0.5, None, True, "os.system", [], {})


def fitted():
    X = load_digits().data[:200]
    model = AutoencoderTransformer(
        2, hidden_layer_sizes=(4,), bottleneck="ordered", max_epochs=2, random_state=0
    )
    return model.fit(X), X[:20]


def damaged(data, rng):
    """Return the file with a piece of it changed."""
    data, (a, b) = bytearray(data), sorted(rng.integers(len(data), size=2))
    b = min(b, a + int(rng.integers(1, 64)))
    way = rng.integers(8)
    if way == 0:
        data[a] ^= 1 << rng.integers(8)
    elif way == 1:
        data[a] = rng.integers(256)
    elif way == 2:
        del data[a:b]
    elif way == 3:
        data[a:a] = data[a:b]
    elif way == 4:
        data[a:b] = bytes(b - a)
    elif way == 5:
        data[a:b] = data[a:b][::-1]
    elif way == 6:
        del data[a:]
    else:
        data += rng.bytes(int(rng.integers(1, 64)))
    return bytes(data)


def forged(data, rng):
    """Return the file with a value of its header changed, and right checksums."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["skae"])
    places = list(_places(facts))
    holder, key = places[rng.integers(len(places))]
    value = NUMBERS[rng.integers(len(NUMBERS))]
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = value
    text = json.dumps(facts)
    digest = hashlib.sha256(text.encode()).hexdigest()
    header["__metadata__"] = {"skae": text, "skae_sha256": digest}
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _places(value):
    """Yield (dict or list, key) of all values in nested ones."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


class Watch:
    """Notes what the interpreter is asked to do that reading a file does not need."""

    def __init__(self, allowed):
        self.allowed, self.is_on, self.seen = str(allowed), False, []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if not self.is_on:
            return
        is_own = event == "open" and (
            arguments[0] == self.allowed or "r" in str(arguments[1] or "r")
        )
        is_known = event == "import" and arguments[0] in sys.modules
        if event in EXECUTING and not (is_own or is_known):
            self.seen.append((event, str(arguments)[:80]))


def outcome(path, X, code, is_forged):
    """Return "refused", "unchanged" or "read", or what else happened."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = load(path)
            found = model.transform(X)
            rebuilt = model.inverse_transform(found)
            model.score_samples(X), model.history_, repr(model)
    except ModelFileError:
        return "refused"
    except Exception as error:
        return f"escape: {type(error).__name__}: {str(error)[:60]}"
    if np.array_equal(found, code):
        return "unchanged"
    is_finite = np.isfinite(found).all() and np.isfinite(rebuilt).all()
    return "read" if is_forged and is_finite else "escape: other codes"


def main():
    arguments = parser(__doc__)
    arguments.add_argument("--count", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    rng, counts = np.random.default_rng(options.seed), Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model, X = fitted()
        dump(model, path)
        data, code = path.read_bytes(), model.transform(X)
        outcome(path, X, code, False)  # imports what it needs
        watch, before = Watch(path), peak()
        for number in range(options.count):
            is_forged = number % 4 == 0
            path.write_bytes((forged if is_forged else damaged)(data, rng))
            watch.is_on = True
            counts[
                "forged" if is_forged else "damaged", outcome(path, X, code, is_forged)
            ] += 1
            watch.is_on = False
    grown, asked = peak() - before, Counter(watch.seen)
    table = pd.DataFrame(
        [(*key, count) for key, count in sorted(counts.items())],
        columns=["file", "outcome", "count"],
    )
    words = (
        f"Files: {options.count}. Asked for while reading: {asked or 'nothing'}. "
        f"Memory: {grown:.0f} MB."
    )
    report(__doc__, options.output, table, words)
    has_escaped = any("escape" in what for _, what in counts)
    if watch.seen or has_escaped or grown > MOST_MEMORY:
        raise SystemExit("A file has escaped.")


if __name__ == "__main__":
    main()
