"""kiln tune: choices are measured, kept, and moved by a file.

tune.py KILN CONFIG_DIR
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from page import check

kiln = sys.argv[1]


def run(cache, *arguments, **environment):
    environment = dict(os.environ, XDG_CACHE_HOME=str(cache), **environment)
    return subprocess.run([kiln, "tune", "--device", "cpu", "--quiet", *arguments], capture_output=True, text=True,
                          timeout=300, env=environment)


def kept(result):
    check(result.returncode == 0, result.stderr)
    return int(re.search(r"cpu: (\d+) choices kept", result.stdout).group(1))


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    first, second, file = folder / "first", folder / "second", folder / "choices.json"
    n = kept(run(first, "--only", "ncsn-points", "--export", str(file)))
    choices = json.loads(file.read_text())
    check(n > 0 and len(choices["choices"]) == n, f"{n} choices: {choices}")
    check(kept(run(first, "--only", "ncsn-points")) == n, "a second time measures nothing new")

    result = run(second, "--import", str(file))
    check(kept(result) == n and f"{n} of them from" in result.stdout, result.stdout)
    again = folder / "again.json"
    check(kept(run(second, "--import", str(file), "--export", str(again))) == n, "import keeps what is there")
    check(again.read_bytes() == file.read_bytes(), "the same file comes out")

    for what, text in (("made for another", json.dumps(dict(choices, device="another"))), ("kiln tune", "{}"),
                       ("kiln tune", "no json"), ("kiln tune", json.dumps(dict(choices, format=99)))):
        (folder / "bad.json").write_text(text)
        result = run(second, "--import", str(folder / "bad.json"))
        check(result.returncode == 2 and what in result.stderr and result.stderr.count("\n") == 1, result)
    check(run(second, "--import", str(folder / "missing.json")).returncode == 2, "a missing file")
    check(run(second, "--only", "nothing").returncode == 2, "an empty choice")
    check(kept(run(second, "--import", str(file))) == n, "failures change nothing")

    # what is shipped beside the kernels serves an empty cache, and the cache goes before it
    shipped = folder / "kernels" / "tunings"
    shipped.mkdir(parents=True)
    check(kept(run(first, "--import", str(file), "--export", str(shipped))) == n, "export into a directory")
    target, = shipped.iterdir()
    check(target.read_bytes() == file.read_bytes() and target.name.startswith("choices-cpu-"), target)
    marked = dict(choices, choices={key: [value, 77.0] for key, (value, _) in choices["choices"].items()})
    target.write_text(json.dumps(marked))
    for cache, seconds in ((folder / "third", 77.0), (second, None)):
        check(kept(run(cache, "--only", "ncsn-points", "--export", str(again), KILN_KERNEL_DIR=str(shipped.parent))) == n,
              "shipped choices are not measured again")
        times = {pair[1] for pair in json.loads(again.read_text())["choices"].values()}
        check((times == {seconds}) == (seconds is not None), times)
print("ok")
