"""The folder of a new service (docs/spec/publishing.md §1)."""

from __future__ import annotations

import json
import re
from pathlib import Path

from chain_core.types.errors import LocalFault
from service_registry.publishing.files import DEFINITION_FILE, HANDLER_FILE

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class FolderRefused(LocalFault):
    """A folder that is there, or a name that is none."""

    code = "FOLDER_REFUSED"


def write_folder(parent: Path, name: str, endpoint: str) -> Path:
    """Writes ``parent/name``. Raises FolderRefused; nothing is overwritten."""
    if NAME.fullmatch(name) is None:
        raise FolderRefused(
            "a name is 1 to 64 of a-z, 0-9 and -", where=repr(name), next_step="choose another, for example price-index"
        )
    folder = parent / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise FolderRefused(
            f"cannot be made: {error.strerror}", where=str(folder), next_step="choose another name"
        ) from error
    files = {
        DEFINITION_FILE: json.dumps(_definition(name, endpoint), ensure_ascii=False, indent=2) + "\n",
        HANDLER_FILE: _HANDLER.format(name=name),
        "README.md": _README.format(name=name),
        "README.zh-CN.md": _README_ZH.format(name=name),
    }
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")
    return folder


def _definition(name: str, endpoint: str) -> dict[str, object]:
    question = {"type": "string", "minLength": 1, "maxLength": 64}
    return {
        "name": name,
        "description": "Says what this service does, for people of other markets. 说明服务内容。",
        "interface": {
            "kind": "json-schema",
            "request": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": question},
                "additionalProperties": False,
            },
            "response": {
                "type": "object",
                "required": ["greeting"],
                "properties": {"greeting": {"type": "string", "maxLength": 128}},
                "additionalProperties": False,
            },
        },
        "permission": "apply",
        "price_fen": 0,
        "endpoints": [endpoint],
        "examples": [{"request": {"name": "Jiangsu"}}],
        "wrong_request": {"name": 7},
    }


_HANDLER = '''"""{name}: what it answers. A request that comes here fits the request schema of definition.json."""

from typing import Any

from service_registry.host import ServiceError


async def answer(request: Any) -> Any:
    if not request["name"].strip():
        raise ServiceError("NO_NAME", "a name is more than spaces")
    return {{"greeting": f"Hello, {{request['name']}}!"}}
'''

_README = """# {name}

A service for other markets. `definition.json` says what it takes and answers, `handler.py` answers.

    dualchain registry lint {name}                               # what is wrong with the definition
    dualchain registry test {name}                               # asks the handler what the joint test will ask
    dualchain registry publish {name} --config publisher.toml    # on chain, as a draft; it says the service's id
    dualchain registry serve {name} --config publisher.toml      # answers calls, until Ctrl-C

A tester of another house runs `dualchain registry joint-test SERVICE`; then `publish` once more registers it and puts
it online. Consumers `apply`, you `approve`. A network to try it in: `dualchain registry testbed`. 中文：README.zh-CN.md
"""

_README_ZH = """# {name}

向其他市场提供的服务。`definition.json` 写明收什么、答什么，`handler.py` 作答。

    dualchain registry lint {name}                               # 检查定义
    dualchain registry test {name}                               # 不连链，用联调测试的问题试处理程序
    dualchain registry publish {name} --config publisher.toml    # 上链为草稿，并给出服务编号
    dualchain registry serve {name} --config publisher.toml      # 应答调用，Ctrl-C 结束

其他机构的测试方执行 `dualchain registry joint-test 服务编号`；之后再执行一次 `publish`，即登记并上线。
使用方 `apply` 申请，发布方 `approve` 同意。试用网络：`dualchain registry testbed`。English: README.md
"""
