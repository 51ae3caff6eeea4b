"""What comes before the work: imports, and the first fit of a process.

    python benchmarks/startup.py [--repeats 7]

CPU seconds, medians over new processes. Fits: skae's defaults on scikit-learn's digits
(1797 x 64) with codes of 16 numbers, without the imports; the first of a process, and a
second one. Imports: `import torch, sklearn` and `import torch, sklearn, skae` in turn,
and the median of their differences. Threads are as torch sets them by itself.
"""

import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
from _common import parser, progress, report

BASE = "import torch, sklearn"
IMPORT = """
import json, sys, time
began = time.process_time()
{statement}
seconds = time.process_time() - began
print(json.dumps([seconds, sorted(sys.modules)]))
"""
FIT = """
import json, time
from sklearn.datasets import load_digits
from skae import AutoencoderTransformer
X = load_digits().data
seconds = []
for _ in range(2):
    began = time.process_time()
    AutoencoderTransformer(16, random_state=0).fit(X)
    seconds.append(time.process_time() - began)
print(json.dumps(seconds))
"""


def output(code):
    """Return what a new process prints, read as JSON."""
    command = [sys.executable, "-c", code]
    return json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )


def imports(repeats):
    """Return seconds without and with skae, in pairs, and the modules it adds."""
    seconds = []
    for repeat in range(-1, repeats):  # the first pair compiles and is not counted
        progress(f"imports {repeat + 1} of {repeats}")
        without, modules = output(IMPORT.format(statement=BASE))
        with_skae, all_modules = output(IMPORT.format(statement=f"{BASE}, skae"))
        seconds.append((without, with_skae))
    return np.array(seconds[1:]), set(all_modules) - set(modules)


def fits(repeats):
    """Return seconds of the first and the second fit, in pairs."""
    seconds = []
    for repeat in range(repeats):
        progress(f"fits {repeat + 1} of {repeats}")
        seconds.append(output(FIT))
    return np.array(seconds)


def main():
    found = parser(__doc__)
    found.add_argument("--repeats", type=int, default=7)
    options = found.parse_args()
    imported, added = imports(options.repeats)
    fitted = fits(options.repeats)
    figures = {
        BASE: imported[:, 0],
        f"{BASE}, skae": imported[:, 1],
        "what skae adds": imported[:, 1] - imported[:, 0],
        "first fit": fitted[:, 0],
        "second fit": fitted[:, 1],
    }
    table = pd.DataFrame(
        [
            (name, np.median(seconds), seconds.min(), seconds.max())
            for name, seconds in figures.items()
        ],
        columns=["what", "CPU seconds", "lowest", "highest"],
    )
    packages = Counter(name.partition(".")[0] for name in added).most_common()
    text = ", ".join(f"{name} {count}" for name, count in packages)
    modules = f"`import skae` adds {len(added)} modules: {text}."
    report(__doc__, options.output, table.round(3), modules)


if __name__ == "__main__":
    main()
