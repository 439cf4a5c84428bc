"""Options of a notice of a service: the service and the coming definition in hexadecimal digits, not as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_core.types.errors import MalformedBytes
from supervisory_chain.desk.contract import arguments_of
from supervisory_chain.desk.machines import NOTICES
from supervisory_chain.regulating.desk_options import option_of, read_option

KINDS = arguments_of(NOTICES["give_notice"])


@pytest.mark.parametrize(("name", "size"), [("service", 16), ("definition", 32)])
def test_hexadecimal(name: str, size: int) -> None:
    assert read_option(name, KINDS[name], "ab" * size) == b"\xab" * size
    assert read_option(name, KINDS[name], None) is None
    for text in ("zz", "ab", "ab" * (size + 1)):
        with pytest.raises(MalformedBytes):
            read_option(name, KINDS[name], text)


def test_documents_stay_files(tmp_path: Path) -> None:
    hint, missing = option_of("plan", KINDS["plan"])
    assert hint.__origin__ is Path and missing is ...
    assert option_of("definition", KINDS["definition"])[1] is None
