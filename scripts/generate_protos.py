"""Generate chain_core/_pb from protos/: message modules with type stubs, importable below ``chain_core._pb``.

Only messages are generated. Services are served and called through raw-bytes handlers (docs/ARCHITECTURE.md),
so there are no ``_pb2_grpc`` modules; a service's descriptor, for reflection, is in its message module.

Usage: ``generate_protos.py`` writes; with ``--check`` it writes nothing and fails when the code is stale.
"""

import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
OUTPUT = ROOT / "chain_core" / "_pb"
PACKAGE = "chain_core._pb"


def generate(output: Path) -> None:
    """Write the generated tree into the empty directory ``output``; a refusal by protoc ends the process."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    if not sources:
        return
    well_known = str(resources.files("grpc_tools") / "_proto")
    options = [f"-I{PROTOS}", f"-I{well_known}", f"--python_out={output}", f"--pyi_out={output}"]
    if protoc.main(["protoc", *options, *sources]) != 0:
        raise SystemExit("protoc refused the sources; its message is above")
    tops = "|".join(sorted({re.escape(Path(source).parts[0]) for source in sources}))
    for path in [*output.rglob("*.py"), *output.rglob("*.pyi")]:
        path.write_text(_below_package(path.read_text("utf-8"), tops, path), "utf-8")
    for directory in sorted(p for p in output.rglob("*") if p.is_dir()):
        dotted = ".".join(directory.relative_to(output).parts)
        (directory / "__init__.py").write_text(f'"""Generated from protos/: {dotted}."""\n', "utf-8")


def _below_package(text: str, tops: str, path: Path) -> str:
    """Move imports of our own protos below PACKAGE: protoc knows only paths relative to protos/."""
    if re.search(rf"^import ({tops})\b", text, re.MULTILINE):
        raise SystemExit(f"{path.name}: protoc wrote an import form this script does not know")
    return re.sub(rf"^from ({tops})(?=[. ])", rf"from {PACKAGE}.\1", text, flags=re.MULTILINE)


def files_of(tree: Path) -> dict[str, bytes]:
    """Return the generated files below ``tree`` by relative path; the top ``__init__.py`` is hand-written."""
    top = tree / "__init__.py"
    found = (path for path in tree.rglob("*.py*") if path.suffix in {".py", ".pyi"} and path != top)
    return {str(path.relative_to(tree)): path.read_bytes() for path in found}


def main(arguments: list[str]) -> int:
    """Return 0 when the code is written, or with ``--check`` when it was up to date."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh_tree = Path(scratch)
        generate(fresh_tree)
        fresh, present = files_of(fresh_tree), files_of(OUTPUT)
        stale = sorted(name for name in fresh.keys() | present.keys() if fresh.get(name) != present.get(name))
        if arguments == ["--check"]:
            for name in stale:
                print(f"stale: chain_core/_pb/{name} (run: make protos)")
            return 1 if stale else 0
        for top in {Path(name).parts[0] for name in stale}:
            shutil.rmtree(OUTPUT / top, ignore_errors=True)
            if (fresh_tree / top).exists():
                shutil.copytree(fresh_tree / top, OUTPUT / top)
        print(f"{len(fresh)} files, {len(stale)} changed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
