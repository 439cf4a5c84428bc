"""Article 11: users have one identity across chains: DIDs known above as below, investor codes nationally unique."""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from contracts.codes.regions import REGIONS
from crosschain.identity.did import NoDid, parse_did
from crosschain.identity.records import IDENTITIES, decode_did
from crosschain.packets import count_in
from dualchain.guideline.asking import AskedChain
from dualchain.guideline.examination import Examination, Text
from supervisory_chain.codes import CODES, allocated_key, holder_key

REQUIREMENT = Text(
    "满足全局身份设计与跨链用户身份识别要求",
    "global identity: a market's DIDs are known to the supervisory chain, investor codes are unique in the nation",
)
CATEGORIES = "QRS"
NEWEST_CODES = 60
DIDS = 100


async def check(exam: Examination) -> None:
    """DIDs of each market as its own chain has them; every code of the newest leads to one investor and back."""
    shown = 0
    for code, chain in exam.network.markets.items():
        with exam.about(code):
            shown += await _dids(exam, code, chain)
    if not shown:
        exam.lacks("没有市场登记过数字身份", "no market has registered a DID")
    with exam.about("codes"):
        await _codes(exam)


async def _dids(exam: Examination, code: str, chain: AskedChain) -> int:
    upper = exam.network.upper
    below = dict(list((await chain.listed(IDENTITIES, b"d")).items())[:DIDS])
    above = await upper.state(list(below))
    for number, (key, (raw, place)) in enumerate(below.items()):
        did = decode_did(raw).did
        try:
            label = parse_did(did).label
        except NoDid:
            label = ""
        exam.require(label == REGIONS[code].label, f"{code} 登记了其他市场的 {did}", f"{code} registered {did}")
        known = above[key]
        if exam.require(known is not None, f"监管链不识别 {did}", f"the supervisory chain does not know {did}"):
            exam.require(known == raw, f"监管链上的 {did} 与 {code} 的不一致", f"{did} differs above and on {code}")
            if not number:
                exam.show(f"{code} 登记 {did}", f"{code} registered {did}", place)
                exam.show(f"监管链识别 {did}", f"the supervisory chain knows {did}", above.place(key))
    return len(below)


async def _codes(exam: Examination) -> None:
    upper = exam.network.upper
    counted = await upper.state([allocated_key(category) for category in CATEGORIES])
    numbers = {category: count_in(counted[allocated_key(category)]) for category in CATEGORIES}
    if not any(numbers.values()):
        exam.lacks("尚未分配投资者编码", "no investor code was allocated yet")
    for category, last in numbers.items():
        codes = [f"{category}{n:09d}" for n in range(max(1, last - NEWEST_CODES + 1), last + 1)]
        proven = await upper.state([holder_key(code) for code in codes])
        holders = {code: proven[holder_key(code)] for code in codes}
        places = {c: state_key(CODES, b"i" + category.encode() + h) for c, h in holders.items() if h is not None}
        for code, holder in holders.items():
            exam.require(holder is not None, f"编码 {code} 缺号", f"the code {code} is missing in between")
        back = await upper.state(list(places.values()))
        for code, key in places.items():
            raw = back[key]
            exam.require(
                raw is not None and decode_map(raw, "allocation")["code"] == code,
                f"编码 {code} 与其持有人不互相对应",
                f"the code {code} and its holder do not lead to one another",
            )
        if codes:
            zh = f"投资者编码 {category} 类已分配 {last} 个，无缺号无重号"
            exam.show(zh, f"{last} investor codes of category {category}, none twice, none left out", proven.place())
