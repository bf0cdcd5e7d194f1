"""Write the exported R scripts of several networks and run them in R: ``python validation/check_scripts.py``.

Prints one line a network: what R said, or why it stopped; exit 1 where a script stopped. netmeta's scripts are run
where R has netmeta, and otherwise only parsed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from psps_paper.living.exports import netmeta_script
from psps_paper.living.metafor_script import metafor_script
from psps_paper.network import NetworkFit, fit_network

ORACLES = Path(__file__).resolve().parent.parent / "tests" / "oracles"
COLUMNS = ["study", "treat1", "treat2", "te", "se"]


def oracle(name: str) -> pd.DataFrame:
    given = json.loads((ORACLES / f"{name}.json").read_text(encoding="utf-8"))["input"]
    return pd.DataFrame(given).rename(columns={"studlab": "study", "TE": "te", "seTE": "se"})[COLUMNS]


def table(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=COLUMNS)


def networks() -> dict[str, NetworkFit]:
    """Fits of each kind that the engine accepts."""
    fits = {}
    for name in ("senn2013", "franchini2012", "linde2015", "smoking", "star_demo"):
        fits |= {f"{name}, {method}": fit_network(oracle(name), tau2=method) for method in ("DL", "REML", "ML")}
    tree = table(("a", "A", "B", 0.1, 0.2), ("b", "B", "C", 0.3, 0.1))
    three = table(("Ko", "A", "B", -0.3, 0.2), ("Ko", "A", "C", -0.1, 0.2), ("Ko", "B", "C", 0.2, 0.2))
    negative = three.assign(se=[0.2, 0.1, 0.1095])
    open_loop = three.assign(te=[-0.31, -0.18, 0.12], se=0.06)
    more = table(("Li", "A", "B", -0.2, 0.1), ("Mo", "B", "C", 0.5, 0.15), ("Nu", "A", "B", 0.6, 0.2))
    twice = pd.concat([tree, tree.assign(te=[-0.5, 0.9]), more])
    peaks = table(*[(s, "A", "B", t, e) for s, t, e in zip("abcde", [-0.85, 0.75, 0.36, -0.79, 0.2],
                                                          [0.08, 0.45, 0.69, 0.07, 1.05], strict=True)])  # fmt: skip
    odd = {"A": 'A:\n"b"', "B": "\u4e2d:~", "C": "C;="}
    for method in ("DL", "REML", "ML"):
        fits |= {
            f"no degrees of freedom, {method}": fit_network(tree, tau2=method),
            f"one study, {method}": fit_network(tree[:1], tau2=method),
            f"one three-arm study, {method}": fit_network(three, tau2=method),
            f"negative arm variance, {method}": fit_network(pd.concat([negative, more]), tau2=method),
            f"open loop, {method}": fit_network(pd.concat([open_loop, more]), tau2=method),
            f"correlation 0.5, {method}": fit_network(twice, tau2=method, correlation=0.5),
            f"correlation 0, {method}": fit_network(twice, tau2=method, correlation=0.0),
            f"odd names, {method}": fit_network(pd.concat([three, more]).replace(odd), tau2=method),
            f"two maxima, {method}": fit_network(peaks, tau2=method),
        }
    fits["tau2 given"] = fit_network(pd.concat([three, more]), tau2=0.25)
    return fits


def run(rscript: str, text: str, *, parse_only: bool = False) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.R"
        path.write_text(text, encoding="utf-8")
        call = ["-e", f"invisible(parse({json.dumps(str(path))}))"] if parse_only else [str(path)]
        done = subprocess.run([rscript, "--vanilla", *call], capture_output=True, text=True)
    said = [line for line in done.stdout.splitlines() if "psps-paper" in line or "maximum" in line or "tau2" in line]
    return done.returncode == 0, "; ".join(said) if done.returncode == 0 else done.stderr.strip()[-300:]


def main() -> int:
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("Rscript not found")
        return 1
    probe = subprocess.run([rscript, "-e", "suppressMessages(library(netmeta))"], capture_output=True)
    has_netmeta = probe.returncode == 0
    print(subprocess.run([rscript, "--version"], capture_output=True, text=True).stdout.strip())
    print("netmeta: run" if has_netmeta else "netmeta: not installed, so its scripts are only parsed")
    failed = 0
    for name, fit in networks().items():
        for package, text in (
            ("metafor", metafor_script(fit)),
            ("netmeta", netmeta_script(fit, measure="MD", desirable="lower")),
        ):
            ok, said = run(rscript, text, parse_only=package == "netmeta" and not has_netmeta)
            failed += not ok
            print(f"{name:32} {package}.R  {'ran' if ok else 'STOPPED'}  {said}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
