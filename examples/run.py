"""Run an example without a window and save its figure.

python examples/run.py examples/plot_compress_digits.py picture.png
"""

import runpy
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    script, picture = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    plt.show = lambda: None  # would close the figure, or warn that there is no window
    runpy.run_path(str(script), run_name="__main__")
    if len(plt.get_fignums()) != 1:
        sys.exit(f"{script} made {len(plt.get_fignums())} figures, not one.")
    plt.savefig(picture, dpi=120)
    print(f"Picture: {picture}")


if __name__ == "__main__":
    main()
