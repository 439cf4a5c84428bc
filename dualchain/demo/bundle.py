"""One evidence bundle of the demonstration: a settled order as a court would check it."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

from dualchain.demo.actors import Desk
from dualchain.demo.report import Report
from dualchain.evidence.bundle import BundleRefused, transaction_bundle
from dualchain.evidence.writing import SCRIPT, write_bundle

FOLDER = "bundle"


async def write_one(desk: Desk, work: Path, report: Report) -> None:
    """The last transaction of this chain that was executed, in ``bundle`` beside the evidence, checked by verify.sh.

    A machine without an openssl that knows SM2 has no bundle: said, and no reason to fail.
    """
    settled = [found.receipt.transaction_id for _, found in desk.evidence if not found.receipt.code]
    exported = await transaction_bundle(desk.client, settled[-1], through_latest=False)
    folder = work / FOLDER
    try:
        await asyncio.to_thread(write_bundle, folder, exported.files)
    except BundleRefused as refusal:
        report.step("bundle 证据包", f"not written: {refusal.what}")
        return
    report.step("bundle 证据包", f"{folder}: a transaction of height {exported.height} with its signers, and a summary")
    report.say("check it with openssl and a shell alone:")
    anchor = desk.chain.view().genesis_hash.hex()
    report.say(f"sh {shlex.quote(str(SCRIPT))} --anchor {anchor} {shlex.quote(str(folder))}")
