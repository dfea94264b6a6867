"""Running the kiln program in temporary folders and judging how it ends.

A bad input must end with its exit status, exactly one line on stderr and
nothing on stdout, and leave no file behind.
"""
import os
import subprocess
import sys
import tempfile

KILN, PLUGINS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
failures = []
count = 0


def run(folder, arguments, **options):
    environment = dict(os.environ, KILN_PLUGIN_PATH=PLUGINS, **options.pop("env", {}))
    return subprocess.run([KILN, *arguments], cwd=folder, env=environment,
                          timeout=options.pop("timeout", 60), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def save(folder, name, content):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def problems_of(result, message, status):
    text = result.stderr.decode(errors="replace")
    problems = []
    if result.returncode != status:
        problems.append(f"exit status {result.returncode}, expected {status}")
    if result.stdout:
        problems.append(f"stdout: {result.stdout[:80]!r}")
    if text.count("\n") != 1 or not text.startswith("kiln: "):
        problems.append(f"not one line: {text!r}")
    elif isinstance(message, str) and text[6:-1] != message:
        problems.append(f"got      {text[6:-1]!r}\n    expected {message!r}")
    elif not isinstance(message, str) and not message.search(text[6:-1]):
        problems.append(f"got {text[6:-1]!r}, expected /{message.pattern}/")
    return problems


def expect(name, arguments, message, files=None, status=2, prepare=None, **options):
    """message: the whole line after "kiln: ", or a pattern. files: name to
    content; prepare: called with the folder."""
    global count
    count += 1
    with tempfile.TemporaryDirectory() as folder:
        for path, content in (files or {}).items():
            save(folder, path, content)
        if prepare:
            prepare(folder)
        before = sorted(os.listdir(folder))
        try:
            problems = problems_of(run(folder, arguments, **options), message, status)
        except subprocess.TimeoutExpired:
            problems = ["hangs"]
        after = sorted(os.listdir(folder))
        if after != before:
            problems.append(f"left {[name for name in after if name not in before]}")
    if problems:
        failures.append(f"{name}: " + "; ".join(problems))


def check(name, good, detail=""):
    global count
    count += 1
    if not good:
        failures.append(f"{name}: {detail}")


def finish():
    for failure in failures:
        print(failure)
    print(f"{count - len(failures)} of {count} passed")
    sys.exit(1 if failures else 0)
