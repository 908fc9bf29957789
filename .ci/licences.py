"""Fails when a dependency's licence is not one that deny.toml allows (the check of `cargo deny`, without installing it)."""
import json
import re
import subprocess
import sys
import tomllib

allowed = set(tomllib.load(open("deny.toml", "rb"))["licenses"]["allow"])
packages = json.loads(subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1"], check=True, capture_output=True).stdout)["packages"]


def holds(expression: str) -> bool:
    """SPDX expression over `allowed`; `/` is the old way to write OR."""
    words = re.findall(r"[()]|[^\s()/]+|/", expression)
    python = []
    skip = False
    for i, word in enumerate(words):
        if skip:
            skip = False
        elif word in "()":
            python.append(word)
        elif word in ("AND", "OR"):
            python.append(word.lower())
        elif word == "/":
            python.append("or")
        elif word == "WITH":
            skip = True
        else:
            with_exception = " WITH " + words[i + 2] if words[i + 1 : i + 2] == ["WITH"] else ""
            python.append(str(word + with_exception in allowed or word in allowed))
    return bool(eval(" ".join(python), {}))  # only parentheses, and, or, True, False


bad = [(p["name"], p["version"], p["license"]) for p in packages if not p["license"] or not holds(p["license"])]
for name, version, licence in bad:
    print(f"{name} {version}: {licence or 'no licence given'}", file=sys.stderr)
print(f"{len(packages)} packages, {len(bad)} with a licence that deny.toml does not allow")
sys.exit(bool(bad))
